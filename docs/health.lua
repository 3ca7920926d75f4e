-- Health of a TuningStudy for Argo CD: `resource.customizations.health.tuning.dev_TuningStudy` of argocd-cm.
-- A round that runs is healthy, as a Job is; so is one that is complete.
local health = { status = "Progressing", message = "waits for the operator" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end

local function holds(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "waits for the operator to see the change"
elseif holds("Stalled") then
  health = { status = "Degraded", message = conditions.Stalled.reason .. ": " .. conditions.Stalled.message }
elseif holds("Suspended") then
  health = { status = "Suspended", message = conditions.Suspended.message }
elseif holds("Reconciling") then
  health.message = conditions.Reconciling.reason .. ": " .. conditions.Reconciling.message
else
  health = { status = "Healthy", message = obj.status.trials.summary .. " trials" }
end
return health
