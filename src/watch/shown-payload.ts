import { isUtf8 } from 'node:buffer'

import type { MessageRedaction } from '../redaction/redaction.ts'

/** A payload as a watcher sees it. */
export interface ShownPayload {
  /** The text of a payload that is UTF-8. */
  readonly payload?: string | undefined
  /** Any other payload. */
  readonly payloadBase64?: string | undefined
  /**
   * Why neither is there. `long`: it has more than 128 KiB; `budget`: the watcher has been shown
   * 1 MiB of payloads in this second; `notJson`: some members are not to be shown, and what is not
   * JSON cannot be searched for them.
   */
  readonly payloadLeftOut?: 'long' | 'budget' | 'notJson' | undefined
}

const payloadShownMax = 131_072

/** Shows a payload exactly: text that is UTF-8 has the same bytes again when it is encoded. */
export function shownPayload(payload: Buffer, redaction?: MessageRedaction): ShownPayload {
  if (payload.length > payloadShownMax) return { payloadLeftOut: 'long' }
  if (redaction !== undefined) {
    const shown = redaction.bytes(payload)
    return shown === undefined ? { payloadLeftOut: 'notJson' } : { payload: shown.toString('utf8') }
  }
  return isUtf8(payload)
    ? { payload: payload.toString('utf8') }
    : { payloadBase64: payload.toString('base64') }
}
