import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Message } from '../../message.ts'
import { numberFromInteger } from '../../sql/values/numbers.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { ShadowRequestTopic } from '../../topics/reserved-request.ts'
import { shadowErrors } from './shadow-error.ts'
import type { ShadowError } from './shadow-error.ts'
import { readShadowRequest, readShadowUpdate } from './shadow-request.ts'
import { createShadowOperations, refused, wholeDocument } from './shadow-operations.ts'
import type { ShadowOutcome } from './shadow-operations.ts'
import { jsonOf, objectOf } from './shadow-row.ts'
import type { ShadowStore } from './shadow-store.ts'

/**
 * The Device Shadow service [AWS IoT Developer Guide, "AWS IoT Device Shadow service"]: a document
 * for each shadow of a thing. A thing need not be registered.
 */
export interface Shadows {
  /**
   * Carries out a request that came as a message.
   *
   * @param request the message on the topic of the request; its depth of republishing is that of
   *   the answers, so that rules that answer answers come to an end
   */
  answer(topic: ShadowRequestTopic, request: Message): ShadowAnswers
  /**
   * Carries out a request that came by HTTP. An update is told to MQTT as well, an error is not.
   *
   * @param payload of an update; empty for the other operations
   */
  call(topic: ShadowRequestTopic, payload: Buffer): ShadowCall
  /** The names of a thing's named shadows, in order: at most `max`, after `after`. */
  names(thingName: string, page: { readonly after: string; readonly max: number }): string[]
  /** The shadows of all things, a page at a time. */
  readonly list: ShadowStore['list']
  /** The document as `get_thing_shadow` of a rule reads it; undefined when there is none. */
  read(thingName: string, shadowName: string | undefined): Value
}

interface ShadowAnswers {
  /** Answers, and what subscribers and rules are told of an update. */
  readonly messages: readonly Message[]
  /** Resolves when the change is on disk; undefined when nothing changed. */
  readonly durable: Promise<void> | undefined
}

/** `answer` is the body; or `error` says why there is none. */
type ShadowCall = ShadowAnswers &
  (
    | { readonly answer: string; readonly error?: undefined }
    | { readonly answer?: undefined; readonly error: ShadowError }
  )

interface ShadowsDependencies {
  readonly store: Pick<ShadowStore, 'get' | 'put' | 'names' | 'list' | 'count'>
  readonly clock: Clock
  readonly logger: Pick<Logger, 'error'>
}

type Target = Pick<ShadowRequestTopic, 'thingName' | 'shadowName'>

export function createShadows({ store, clock, logger }: ShadowsDependencies): Shadows {
  const operations = createShadowOperations({ store, clock })
  const run = (topic: ShadowRequestTopic, payload: Buffer): ShadowOutcome => {
    try {
      if (topic.operation === 'update') return operations.update(topic, readShadowUpdate(payload))
      const request = readShadowRequest(payload)
      if ('error' in request) return refused(request)
      return topic.operation === 'get'
        ? operations.get(topic, request)
        : operations.remove(topic, request)
    } catch (thrown) {
      // One damaged row must not end the connections of its device.
      const { thingName, shadowName } = topic
      logger.error({ thingName, shadowName, problem: messageOf(thrown) }, 'a shadow failed')
      return refused({ clientToken: undefined, error: shadowErrors.internal })
    }
  }

  return {
    answer(topic, request) {
      const outcome = run(topic, request.payload)
      const { accepted, error } = outcome
      const answer: readonly [string, SqlObject] =
        accepted === undefined
          ? [`${topic.operation}/rejected`, errorDocument(error ?? shadowErrors.internal)]
          : [`${topic.operation}/accepted`, accepted]
      const messages = messagesOf(topic, [answer, ...outcome.told], outcome, request)
      return { messages, durable: outcome.durable }
    },

    call(topic, payload) {
      const outcome = run(topic, payload)
      const { accepted, error, clientToken, durable } = outcome
      if (accepted === undefined) {
        return { error: error ?? shadowErrors.internal, messages: [], durable: undefined }
      }
      const about = { timestampMs: clock.wallMs() }
      const told: ShadowOutcome['told'] =
        topic.operation === 'update' ? [['update/accepted', accepted], ...outcome.told] : []
      return {
        answer: jsonOf(withToken(accepted, clientToken)),
        messages: messagesOf(topic, told, outcome, about),
        durable,
      }
    },

    names: (thingName, page) => store.names(thingName, page),
    list: (query) => store.list(query),

    read(thingName, shadowName) {
      const document = store.get(thingName, shadowName)?.document
      return document && wholeDocument(document)
    },
  }
}

const errorDocument = ({ code, message }: ShadowError): SqlObject =>
  objectOf({ code: numberFromInteger(code), message })

function messagesOf(
  { thingName, shadowName }: Target,
  documents: readonly (readonly [suffix: string, document: SqlObject])[],
  { clientToken }: Pick<ShadowOutcome, 'clientToken'>,
  { timestampMs, republishDepth }: Pick<Message, 'timestampMs' | 'republishDepth'>,
): readonly Message[] {
  const name = shadowName === undefined ? '' : `name/${shadowName}/`
  const prefix = `$aws/things/${thingName}/shadow/${name}`
  return documents.map(([suffix, document]) => ({
    topic: `${prefix}${suffix}`,
    payload: Buffer.from(jsonOf(withToken(document, clientToken))),
    qos: 1,
    retain: false,
    transport: 'mqtt',
    timestampMs,
    republishDepth,
  }))
}

function withToken(document: SqlObject, clientToken: string | undefined): SqlObject {
  return clientToken === undefined ? document : new Map([...document, ['clientToken', clientToken]])
}
