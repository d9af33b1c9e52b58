{{/* The template of the pod: of the StatefulSet of one node, or of the nodes of a cluster. */}}
{{- define "sluice.pod" -}}
{{- $scheme := include "sluice.scheme" . | upper }}
{{- $byCertificate := and .Values.mqtt.tls.secretName .Values.mqtt.tls.deviceCertificates }}
{{- $nats := .Values.nats -}}
metadata:
  labels: {{- include "sluice.labels" . | nindent 4 }}
  {{- with .Values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "sluice.name" . }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: sluice
      image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [start]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      ports:
        - { name: http, containerPort: 8080 }
        {{- if .Values.mqtt.tls.secretName }}
        - { name: mqtts, containerPort: 8883 }
        {{- end }}
        {{- if .Values.mqtt.plain }}
        - { name: mqtt, containerPort: 1883 }
        {{- end }}
      env:
        - { name: AWS_REGION, value: {{ .Values.aws.region | quote }} }
        - { name: SLUICE_DATA_DIR, value: /sluice/volume/data }
        - { name: SLUICE_RULES_DIR, value: /sluice/volume/rules }
        - { name: SLUICE_HTTP_HOST, value: 0.0.0.0 }
        - { name: SLUICE_HTTP_PORT, value: '8080' }
        - { name: SLUICE_AUTH, value: sigv4 }
        {{- if $nats.url }}
        - { name: SLUICE_NATS_URL, value: {{ $nats.url | quote }} }
        - { name: SLUICE_CLUSTER_NAME, value: {{ $nats.clusterName | quote }} }
        {{- with $nats.monitorUrl }}
        - { name: SLUICE_NATS_MONITOR_URL, value: {{ . | quote }} }
        {{- end }}
        {{- if $nats.login.secretName }}
        - { name: {{ ternary "SLUICE_NATS_NKEY_FILE" "SLUICE_NATS_CREDENTIALS_FILE" (eq $nats.login.kind "nkey") }}, value: /secrets/nats-login/{{ $nats.login.key }} }
        {{- end }}
        {{- if $nats.tls.secretName }}
        - { name: SLUICE_NATS_CA_FILE, value: /secrets/nats-tls/ca.crt }
        {{- if $nats.tls.clientCertificate }}
        - { name: SLUICE_NATS_CERT_FILE, value: /secrets/nats-tls/tls.crt }
        - { name: SLUICE_NATS_KEY_FILE, value: /secrets/nats-tls/tls.key }
        {{- end }}
        {{- end }}
        {{- if .Values.passwords.inCluster }}
        # It says that passwords are checked; the file is not read, because they are in the cluster.
        - { name: SLUICE_PASSWORD_FILE, value: /sluice/volume/passwords }
        {{- end }}
        {{- end }}
        {{- if .Values.mqtt.plain }}
        - { name: SLUICE_MQTT_HOST, value: 0.0.0.0 }
        - { name: SLUICE_MQTT_PORT, value: '1883' }
        {{- end }}
        {{- if .Values.mqtt.tls.secretName }}
        - { name: SLUICE_MQTTS_HOST, value: 0.0.0.0 }
        - { name: SLUICE_MQTTS_PORT, value: '8883' }
        - { name: SLUICE_TLS_CERT_FILE, value: /secrets/tls/tls.crt }
        - { name: SLUICE_TLS_KEY_FILE, value: /secrets/tls/tls.key }
        {{- end }}
        {{- if $byCertificate }}
        - { name: SLUICE_TLS_CA_FILE, value: /secrets/tls/ca.crt }
        {{- end }}
        - { name: SLUICE_MQTT_ANONYMOUS, value: {{ ternary "on" "off" .Values.mqtt.anonymous | quote }} }
        {{- if .Values.accessKeys.secretName }}
        - { name: SLUICE_CREDENTIALS_FILE, value: /secrets/access-keys/credentials.json }
        {{- end }}
        {{- if .Values.passwords.secretName }}
        - { name: SLUICE_PASSWORD_FILE, value: /secrets/passwords/passwords }
        {{- end }}
        {{- range $name, $value := .Values.variables }}
        - { name: {{ $name }}, value: {{ $value | quote }} }
        {{- end }}
      {{- with .Values.variablesFrom }}
      envFrom:
        {{- range . }}
        - secretRef: { name: {{ . }} }
        {{- end }}
      {{- end }}
      {{- if $nats.url }}
      # Balancers hear that the pod goes before its ports close.
      lifecycle:
        preStop: { exec: { command: [sleep, '5'] } }
      {{- end }}
      # Opening a large outbox takes longer than what comes later.
      startupProbe:
        httpGet: { path: /v1/live, port: http, scheme: {{ $scheme }} }
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: { path: /v1/live, port: http, scheme: {{ $scheme }} }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /v1/health, port: http, scheme: {{ $scheme }} }
        periodSeconds: 5
        timeoutSeconds: 5
      resources: {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - { name: volume, mountPath: /sluice/volume }
        - { name: tmp, mountPath: /tmp }
        {{- if .Values.mqtt.tls.secretName }}
        - { name: tls, mountPath: /secrets/tls, readOnly: true }
        {{- end }}
        {{- if .Values.accessKeys.secretName }}
        - { name: access-keys, mountPath: /secrets/access-keys, readOnly: true }
        {{- end }}
        {{- if $nats.login.secretName }}
        - { name: nats-login, mountPath: /secrets/nats-login, readOnly: true }
        {{- end }}
        {{- if $nats.tls.secretName }}
        - { name: nats-tls, mountPath: /secrets/nats-tls, readOnly: true }
        {{- end }}
        {{- if .Values.passwords.secretName }}
        - { name: passwords, mountPath: /secrets/passwords, readOnly: true }
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if $nats.url }}
    # A cache of the log, and what is the pod's own. What was acknowledged is in NATS.
    - name: volume
      emptyDir: { sizeLimit: {{ .Values.cluster.volumeSizeLimit }} }
    {{- end }}
    {{- if $nats.login.secretName }}
    - name: nats-login
      secret: { secretName: {{ $nats.login.secretName }}, defaultMode: 0440 }
    {{- end }}
    {{- if $nats.tls.secretName }}
    - name: nats-tls
      secret: { secretName: {{ $nats.tls.secretName }}, defaultMode: 0440 }
    {{- end }}
    {{- if .Values.mqtt.tls.secretName }}
    - name: tls
      secret: { secretName: {{ .Values.mqtt.tls.secretName }}, defaultMode: 0440 }
    {{- end }}
    {{- if .Values.accessKeys.secretName }}
    - name: access-keys
      secret: { secretName: {{ .Values.accessKeys.secretName }}, defaultMode: 0440 }
    {{- end }}
    {{- if .Values.passwords.secretName }}
    - name: passwords
      secret: { secretName: {{ .Values.passwords.secretName }}, defaultMode: 0440 }
    {{- end }}
  {{- if $nats.url }}
  # Pods of one revision alone, so that a rolling update ends evenly spread, too.
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.Values.cluster.whenUnsatisfiable }}
      labelSelector:
        matchLabels: {{- include "sluice.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
