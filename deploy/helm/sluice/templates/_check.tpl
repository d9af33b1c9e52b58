{{/* Fails for values with which the engine would not start, or nobody could use it. */}}
{{- define "sluice.check" -}}
{{- if not .Values.image.repository }}
{{- fail "set image.repository: an image of the Dockerfile in a registry of yours" }}
{{- end }}
{{- if not .Values.aws.region }}
{{- fail "set aws.region, such as eu-central-1" }}
{{- end }}
{{- if not (or .Values.mqtt.tls.secretName .Values.mqtt.plain) }}
{{- fail "no device could connect: set mqtt.tls.secretName, or mqtt.plain=true" }}
{{- end }}
{{- $byCertificate := and .Values.mqtt.tls.secretName .Values.mqtt.tls.deviceCertificates }}
{{- $passwords := ternary "passwords.inCluster=true" "passwords.secretName" (ne .Values.nats.url "") }}
{{- if not (or .Values.mqtt.anonymous .Values.passwords.secretName .Values.passwords.inCluster $byCertificate) }}
{{- fail (printf "no device could sign in: set %s, mqtt.tls.deviceCertificates=true, or mqtt.anonymous=true" $passwords) }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.serviceMonitor.tokenSecret.name) }}
{{- fail "set serviceMonitor.tokenSecret.name: metrics are read with SLUICE_METRICS_TOKEN" }}
{{- end }}
{{- range $name := list "SLUICE_NATS_URL" "SLUICE_CLUSTER_NAME" "SLUICE_NATS_MONITOR_URL" "SLUICE_NATS_CREDENTIALS_FILE" "SLUICE_NATS_NKEY_FILE" "SLUICE_NATS_CA_FILE" "SLUICE_NATS_CERT_FILE" "SLUICE_NATS_KEY_FILE" }}
{{- if hasKey $.Values.variables $name }}
{{- fail (printf "variables.%s: set nats.* instead, which makes a Deployment of several nodes" $name) }}
{{- end }}
{{- end }}
{{- if .Values.nats.url }}
{{- if .Values.persistence.storageClass }}
{{- fail "nats.url and persistence.storageClass are both set: the nodes of a cluster have no volumes, because NATS holds what is acknowledged" }}
{{- end }}
{{- if .Values.accessKeys.secretName }}
{{- fail "nats.url and accessKeys.secretName are both set: a cluster keeps access keys in NATS; import them with `sluice cluster import`" }}
{{- end }}
{{- if .Values.passwords.secretName }}
{{- fail "nats.url and passwords.secretName are both set: a cluster keeps passwords in NATS; set passwords.inCluster=true and import them with `sluice cluster import`" }}
{{- end }}
{{- if and .Values.nats.tls.clientCertificate (not .Values.nats.tls.secretName) }}
{{- fail "nats.tls.clientCertificate needs nats.tls.secretName, with ca.crt, tls.crt and tls.key" }}
{{- end }}
{{- if and .Values.nats.login.secretName (contains "@" .Values.nats.url) }}
{{- fail "nats.url has a user and nats.login.secretName is set: keep one" }}
{{- end }}
{{- if lt (int .Values.terminationGracePeriodSeconds) 20 }}
{{- fail "terminationGracePeriodSeconds must be at least 20: a node waits 5 s for balancers, and needs SLUICE_DRAIN_MS and 2 s to hand its lanes over" }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas %d is more than autoscaling.maxReplicas %d" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- if and .enabled (not .cpuUtilization) (not .oldestAgeSeconds) }}
{{- fail "autoscaling.enabled has nothing to go by: set autoscaling.cpuUtilization or autoscaling.oldestAgeSeconds" }}
{{- end }}
{{- end }}
{{- else }}
{{- if .Values.autoscaling.enabled }}
{{- fail "autoscaling.enabled needs nats.url: one node has one data folder" }}
{{- end }}
{{- if .Values.passwords.inCluster }}
{{- fail "passwords.inCluster needs nats.url: set passwords.secretName" }}
{{- end }}
{{- if or .Values.nats.login.secretName .Values.nats.tls.secretName .Values.nats.monitorUrl }}
{{- fail "nats.login, nats.tls and nats.monitorUrl need nats.url" }}
{{- end }}
{{- end }}
{{- end }}
