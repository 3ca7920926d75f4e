{{/* image (list $ .Values.operator.image): registry/repository:tag, or @digest */}}
{{- define "tuning.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "tuning.labels" -}}
app.kubernetes.io/part-of: tuning-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "tuning.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tuning.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "tuning.storeSecret" -}}
{{- if .Values.externalPostgresql.existingSecret -}}
{{ .Values.externalPostgresql.existingSecret }}
{{- else if .Values.postgresql.enabled -}}
{{ .Values.postgresql.existingSecret | default "tuning-postgresql" }}
{{- else -}}
{{ fail "give externalPostgresql.existingSecret, or leave postgresql.enabled true" }}
{{- end -}}
{{- end -}}

{{- define "tuning.storeKey" -}}
{{ if .Values.externalPostgresql.existingSecret }}{{ .Values.externalPostgresql.key }}{{ else }}url{{ end }}
{{- end -}}

{{- define "tuning.tokenSecret" -}}
{{ .Values.exporter.token.existingSecret | default "tuning-exporter-token" }}
{{- end -}}

{{/* The administrator's URL as a file, and beside it the certificate that the server's is checked against. */}}
{{- define "tuning.storeVolume" -}}
- name: store
  projected:
    defaultMode: 0440
    sources:
      - secret: {name: {{ include "tuning.storeSecret" . }}, items: [{key: {{ include "tuning.storeKey" . }}, path: url}]}
      {{- if and .Values.externalPostgresql.existingSecret .Values.externalPostgresql.caKey }}
      - secret: {name: {{ include "tuning.storeSecret" . }}, items: [{key: {{ .Values.externalPostgresql.caKey }}, path: ca.crt}]}
      {{- end }}
{{- end -}}
