import type { Upstream } from '../upstream/upstream.ts'
import { openMqttStage } from './mqtt-stage.ts'
import type { MqttStage } from './mqtt-stage.ts'
import type { Drain, Stages } from './stages.ts'
import { openUpstreamStage } from './upstream-stage.ts'

/** Opens MQTT, and the way in from another broker where there is one. */
export async function openWaysIn(
  parts: Parameters<typeof openMqttStage>[0],
  stages: Stages,
  drain: Drain,
): Promise<{ readonly mqtt: MqttStage; readonly upstream: Upstream | undefined }> {
  const mqtt = await stages.open(
    'mqtt',
    () => openMqttStage(parts),
    // Clients that wait for an answer must not use up the time of the calls to Kinesis.
    (it) => it.close({ drainMs: drain.leftMs() / 2 }),
  )
  const { ingress } = mqtt
  const { directory } = parts.folder
  return {
    mqtt,
    upstream: await openUpstreamStage({ ...parts, ingress, directory, drain }, stages),
  }
}
