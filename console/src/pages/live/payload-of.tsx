import type { MessageEvent } from '../../api/events.ts'
import { base64Of } from '../../api/base64.ts'
import { Payload } from '../../parts/payload.tsx'

const whyLeftOut: Readonly<Record<string, string>> = {
  long: 'Its payload is too long to be shown here.',
  budget: 'Its payload is left out: more payloads came in that second than a person can read.',
}

/** What is in a message, as far as the engine shows it. */
export function PayloadOf({ message }: { message: MessageEvent }) {
  const { payload, payloadBase64, payloadLeftOut } = message
  if (payloadLeftOut !== undefined) {
    return <p class="soft">{whyLeftOut[payloadLeftOut] ?? 'Its payload is left out.'}</p>
  }
  if (payload !== undefined) return <Payload base64={base64Of(payload)} />
  if (payloadBase64 !== undefined) return <Payload base64={payloadBase64} />
  return null
}
