{{/* What the chart's objects are named after: the release, and `tuning` unless the release is called so. */}}
{{- define "tuning.fullname" -}}
{{- $name := .Values.nameOverride | default "tuning" -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{- define "tuning.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end -}}

{{/* selectorLabels (list $ "operator"): never to be changed, as Deployments refuse another selector. */}}
{{- define "tuning.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Values.nameOverride | default "tuning" }}-{{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end -}}

{{/* labels (list $ "operator"): of an object of that component */}}
{{- define "tuning.labels" -}}
{{- $root := index . 0 -}}
{{ include "tuning.selectorLabels" . }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: tuning-operator
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
metadata (dict "root" $ "component" "operator" "name" "operator-lease"): of an object of that component. The name goes
behind the release's; `fullName` is one of its own. `namespace` is another than the release's, and "" for an object that
has none. `labels` and `annotations` come first.
*/}}
{{- define "tuning.metadata" -}}
{{- $labels := include "tuning.labels" (list .root .component) | fromYaml -}}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
name: {{ .fullName | default (printf "%s-%s" (include "tuning.fullname" .root) .name) }}
{{- with hasKey . "namespace" | ternary .namespace (include "tuning.namespace" .root) }}
namespace: {{ . }}
{{- end }}
labels: {{- merge (dict) (.labels | default dict) $labels | toYaml | nindent 2 }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* image (list $ "worker"): registry/repository:tag, or @digest. The operator's holds the exporter and the dashboard too. */}}
{{- define "tuning.image" -}}
{{- $root := index . 0 -}}{{- $image := (get $root.Values (index . 1)).image | default $root.Values.operator.image -}}
{{- with $root.Values.global.imageRegistry | default $root.Values.image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* podMetadata (list $ "operator"): without the chart's version, which would restart the pods though nothing changed */}}
{{- define "tuning.podMetadata" -}}
{{- $root := index . 0 -}}{{- $values := get $root.Values (index . 1) -}}
labels:
  {{- include "tuning.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/component: {{ index . 1 }}
  app.kubernetes.io/part-of: tuning-operator
  {{- with merge (dict) $values.podLabels $root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) $values.podAnnotations $root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* podFields (list $ "operator"): what all pods of the chart have in common, and what the component's values add */}}
{{- define "tuning.podFields" -}}
{{- $root := index . 0 -}}{{- $values := get $root.Values (index . 1) -}}
enableServiceLinks: false
{{- with $root.Values.global.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $field := list "affinity" "dnsConfig" "hostUsers" "nodeSelector" "priorityClassName" "tolerations" }}
{{- $value := get $values $field }}
{{- if or $value (kindIs "bool" $value) }}
{{ dict $field $value | toYaml }}
{{- end }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "tuning.selectorLabels" $ | fromYaml)) }}
topologySpreadConstraints:
  {{- range . }}
  - {{ hasKey . "labelSelector" | ternary dict $selector | merge (dict) . | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* containerFields (list $ "operator"): what all containers of the chart have in common */}}
{{- define "tuning.containerFields" -}}
{{- $root := index . 0 -}}{{- $values := get $root.Values (index . 1) -}}
image: {{ include "tuning.image" . }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with $values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.containerSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* probes (dict "values" .Values.operator "startup" PROBE "liveness" PROBE "readiness" PROBE): with the values' times */}}
{{- define "tuning.probes" -}}
{{- $given := . -}}
{{- range $kind := list "startup" "liveness" "readiness" }}
{{- $field := printf "%sProbe" $kind }}
{{- with get $given.values $field }}
{{ dict $field (merge (dict) (get $given $kind) .) | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tuning.serviceAccountName" -}}
{{- $root := index . 0 -}}{{- $account := (get $root.Values (index . 1)).serviceAccount -}}
{{- if $account.create -}}
{{ $account.name | default (printf "%s-%s" (include "tuning.fullname" $root) (index . 1)) }}
{{- else -}}
{{ $account.name | default "default" }}
{{- end -}}
{{- end -}}

{{/* serviceAccount (list $ "operator"), unless there is one already */}}
{{- define "tuning.serviceAccount" -}}
{{- $root := index . 0 -}}{{- $account := (get $root.Values (index . 1)).serviceAccount -}}
{{- if $account.create -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "tuning.metadata" (dict "root" $root "component" (index . 1) "fullName" (include "tuning.serviceAccountName" .) "labels" $account.labels "annotations" $account.annotations) | nindent 2 }}
automountServiceAccountToken: {{ $account.automount }}
{{- end -}}
{{- end -}}

{{/*
binding (dict "root" $ "component" "operator" "role" "operator-cluster" "namespace" ""): of a ClusterRole, unless `kind`
is Role, to the component's account; in all namespaces when it has none.
*/}}
{{- define "tuning.binding" -}}
{{- $role := printf "%s-%s" (include "tuning.fullname" .root) .role -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .namespace | empty | ternary "ClusterRoleBinding" "RoleBinding" }}
metadata: {{- include "tuning.metadata" (dict "root" .root "component" .component "fullName" $role "namespace" .namespace) | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ .kind | default "ClusterRole" }}, name: {{ $role }}}
subjects:
  - kind: ServiceAccount
    name: {{ include "tuning.serviceAccountName" (list .root .component) }}
    namespace: {{ include "tuning.namespace" .root }}
{{- end -}}

{{/* bindWhereStudiesAre (list $ "operator" "operator-studies"): in each of watchNamespaces, or in all namespaces */}}
{{- define "tuning.bindWhereStudiesAre" -}}
{{- range $namespace := (index . 0).Values.watchNamespaces | default (list "") }}
---
{{ include "tuning.binding" (dict "root" (index $ 0) "component" (index $ 1) "role" (index $ 2) "namespace" $namespace) }}
{{- end }}
{{- end -}}

{{/* aggregated (list $ "edit" "admin"): labels that add a ClusterRole to these built-in ones */}}
{{- define "tuning.aggregated" -}}
{{- if (index . 0).Values.rbac.aggregate }}
{{- range rest . }}
rbac.authorization.k8s.io/aggregate-to-{{ . }}: "true"
{{- end }}
{{- end }}
{{- end -}}

{{/* service (list $ "operator" PORT), PORT being {name, port, appProtocol} */}}
{{- define "tuning.service" -}}
{{- $root := index . 0 -}}{{- $service := (get $root.Values (index . 1)).service -}}
apiVersion: v1
kind: Service
metadata: {{- include "tuning.metadata" (dict "root" $root "component" (index . 1) "name" (index . 1) "annotations" $service.annotations) | nindent 2 }}
spec:
  selector: {{- include "tuning.selectorLabels" . | nindent 4 }}
  {{- with $service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
  {{- end }}
  {{- with $service.ipFamilies }}
  ipFamilies: {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {{ merge (dict "targetPort" (index . 2).name) (index . 2) | toYaml | nindent 6 | trim }}
{{- end -}}

{{/* podDisruptionBudget (list $ "operator"), if it is wanted */}}
{{- define "tuning.podDisruptionBudget" -}}
{{- $root := index . 0 -}}{{- $budget := (get $root.Values (index . 1)).podDisruptionBudget -}}
{{- if $budget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "tuning.metadata" (dict "root" $root "component" (index . 1) "name" (index . 1)) | nindent 2 }}
spec:
  selector:
    matchLabels: {{- include "tuning.selectorLabels" . | nindent 6 }}
  {{- omit $budget "enabled" | toYaml | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Whether the chart has a PostgreSQL of its own. */}}
{{- define "tuning.ownPostgresql" -}}
{{- if .Values.externalPostgresql.existingSecret -}}
{{- else if .Values.postgresql.enabled -}}
true
{{- else -}}
{{ fail "give externalPostgresql.existingSecret, or leave postgresql.enabled true" }}
{{- end -}}
{{- end -}}

{{- define "tuning.storeSecret" -}}
{{ .Values.externalPostgresql.existingSecret | default .Values.postgresql.existingSecret | default (printf "%s-postgresql" (include "tuning.fullname" .)) }}
{{- end -}}

{{- define "tuning.tokenSecret" -}}
{{ .Values.exporter.token.existingSecret | default (printf "%s-exporter-token" (include "tuning.fullname" .)) }}
{{- end -}}

{{/* What the exporter serves; its port is named so, too. */}}
{{- define "tuning.exporterScheme" -}}
{{ .Values.exporter.tls.existingSecret | empty | ternary "http" "https" }}
{{- end -}}

{{- define "tuning.exporterUrl" -}}
{{ include "tuning.exporterScheme" . }}://{{ include "tuning.fullname" . }}-exporter.{{ include "tuning.namespace" . }}.svc:8080
{{- end -}}

{{/* How Prometheus and Alertmanager know the exporter's certificate, by a Secret of their object's own namespace. */}}
{{- define "tuning.exporterTlsConfig" -}}
serverName: {{ include "tuning.fullname" . }}-exporter.{{ include "tuning.namespace" . }}.svc
{{- with .Values.exporter.tls }}
{{- if .caKey }}
ca:
  secret: {name: {{ .existingSecret }}, key: {{ .caKey }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tuning.dashboardTokenSecret" -}}
{{ .Values.dashboard.token.existingSecret | default (printf "%s-dashboard-token" (include "tuning.fullname" .)) }}
{{- end -}}

{{/* The Secrets that nobody gave, as arguments of what makes them at run time: tuning_operator.bootstrap. */}}
{{- define "tuning.missingSecrets" -}}
{{- if and (include "tuning.ownPostgresql" .) (not .Values.postgresql.existingSecret) }}
- --postgresql-secret={{ include "tuning.storeSecret" . }}
- --postgresql-host={{ include "tuning.fullname" . }}-postgresql.{{ include "tuning.namespace" . }}.svc
{{- end }}
{{- if and .Values.exporter.enabled (not .Values.exporter.token.existingSecret) }}
- --token-secret={{ include "tuning.tokenSecret" . }}
{{- end }}
{{- with .Values.dashboard }}
{{- if and .enabled (eq .authentication "Token") (not .token.existingSecret) }}
- --token-secret={{ include "tuning.dashboardTokenSecret" $ }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
storeVolume (dict "root" $ "optional" true): the administrator's URL as a file, and beside it the certificate that the
server's is checked against. Optional where the pod itself makes the Secret.
*/}}
{{- define "tuning.storeVolume" -}}
{{- $external := .root.Values.externalPostgresql -}}
name: store
projected:
  defaultMode: 0444
  sources:
    - secret:
        name: {{ include "tuning.storeSecret" .root }}
        items: [{key: {{ $external.existingSecret | empty | ternary "url" $external.key }}, path: url}]
        {{- if .optional }}
        optional: true
        {{- end }}
    {{- if and $external.existingSecret $external.caKey }}
    - secret:
        name: {{ $external.existingSecret }}
        items: [{key: {{ $external.caKey }}, path: ca.crt}]
    {{- end }}
{{- end -}}

{{/* What is laid on every worker pod: the chart's security contexts, but for the user, who is the image's; then worker.podTemplate. */}}
{{- define "tuning.workerPodTemplates" -}}
{{- $pod := dict "securityContext" (omit (.Values.podSecurityContext | default dict) "runAsUser" "runAsGroup") -}}
{{- $_ := set $pod "containers" (list (dict "name" "worker" "securityContext" (.Values.containerSecurityContext | default dict))) -}}
{{- with .Values.global.imagePullSecrets }}{{ $_ := set $pod "imagePullSecrets" . }}{{ end -}}
{{- list (dict "spec" $pod) .Values.worker.podTemplate | toJson -}}
{{- end -}}
