import { throwFaults } from '../../src/base/errors.ts'
import { readPayloadFile, readPayloadText } from '../../src/rules/payload.ts'
import type { ReadPayload, TopicRulePayload } from '../../src/rules/payload.ts'

function withoutFaults({ payload, faults }: ReadPayload): TopicRulePayload {
  throwFaults(faults)
  return payload
}

/** Reads a request, whose faults are thrown. */
export const parsePayloadText = (bytes: Uint8Array) => withoutFaults(readPayloadText(bytes))
/** Reads a rule file, whose faults are thrown. */
export const parsePayloadFile = (bytes: Uint8Array) => withoutFaults(readPayloadFile(bytes))
