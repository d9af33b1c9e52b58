import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
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
import type { StoredShadow } from './shadow-row.ts'
import type { ShadowStore, Soon } from './shadow-store.ts'

/**
 * The Device Shadow service [AWS IoT Developer Guide, "AWS IoT Device Shadow service"]: a document
 * for each shadow of a thing. A thing need not be registered.
 *
 * In a cluster, every method answers later, and rejects with a SluiceError
 * ServiceUnavailableException while what the nodes share cannot be asked.
 */
export interface Shadows {
  /**
   * Carries out a request that came as a message.
   *
   * @param request the message on the topic of the request; its depth of republishing is that of
   *   the answers, so that rules that answer answers come to an end
   */
  answer(topic: ShadowRequestTopic, request: Message): Soon<ShadowAnswers>
  /**
   * Carries out a request that came by HTTP. An update is told to MQTT as well, an error is not.
   *
   * @param payload of an update; empty for the other operations
   */
  call(topic: ShadowRequestTopic, payload: Buffer): Soon<ShadowCall>
  /** The names of a thing's named shadows, in order: at most `max`, after `after`. */
  names(thingName: string, page: { readonly after: string; readonly max: number }): Soon<string[]>
  /** The shadows of all things, a page at a time. */
  readonly list: ShadowStore['list']
  /** The document as `get_thing_shadow` of a rule reads it; undefined when there is none. */
  read(thingName: string, shadowName: string | undefined): Soon<Value>
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
  readonly store: Pick<ShadowStore, 'get' | 'change' | 'names' | 'list'>
  readonly clock: Clock
  readonly logger: Pick<Logger, 'error'>
}

type Target = Pick<ShadowRequestTopic, 'thingName' | 'shadowName'>
type Done = ShadowOutcome & Pick<ShadowAnswers, 'durable'>

export function createShadows({ store, clock, logger }: ShadowsDependencies): Shadows {
  const operations = createShadowOperations({ clock })

  /** One damaged row must not end the connections of its device. */
  function failed({ thingName, shadowName }: Target, thrown: unknown): Done {
    if (isUnavailable(thrown)) throw thrown
    logger.error({ thingName, shadowName, problem: messageOf(thrown) }, 'a shadow failed')
    return unchanged(refused({ clientToken: undefined, error: shadowErrors.internal }))
  }
  function change(topic: ShadowRequestTopic, decide: Decide): Soon<Done> {
    const changed = store.change(topic.thingName, topic.shadowName, decide)
    if (!(changed instanceof Promise)) return doneOf(changed)
    return changed.then(doneOf).catch((thrown: unknown) => failed(topic, thrown))
  }
  function run(topic: ShadowRequestTopic, payload: Buffer): Soon<Done> {
    try {
      if (topic.operation === 'update') {
        const request = readShadowUpdate(payload)
        if ('error' in request) return unchanged(refused(request))
        return change(topic, (seen) => operations.update(seen, request))
      }
      const request = readShadowRequest(payload)
      if ('error' in request) return unchanged(refused(request))
      const operation = topic.operation === 'get' ? operations.get : operations.remove
      return change(topic, (seen) => operation(seen, topic, request))
    } catch (thrown) {
      return failed(topic, thrown)
    }
  }

  return {
    answer(topic, request) {
      const done = run(topic, request.payload)
      const use = (of: Done) => answersOf(topic, of, request)
      return done instanceof Promise ? done.then(use) : use(done)
    },

    call(topic, payload) {
      const done = run(topic, payload)
      const use = (of: Done) => callOf(topic, of, clock)
      return done instanceof Promise ? done.then(use) : use(done)
    },

    names: (thingName, page) => store.names(thingName, page),
    list: (query) => store.list(query),

    read(thingName, shadowName) {
      const stored = store.get(thingName, shadowName)
      return stored instanceof Promise ? stored.then(shownOf) : shownOf(stored)
    },
  }
}

type Decide = (
  seen: Parameters<ReturnType<typeof createShadowOperations>['get']>[0],
) => ShadowOutcome

const shownOf = (stored: StoredShadow | undefined): Value =>
  stored?.document && wholeDocument(stored.document)

const unchanged = (outcome: ShadowOutcome): Done => ({ ...outcome, durable: undefined })

const doneOf = ({
  outcome,
  durable,
}: {
  readonly outcome: ShadowOutcome
  readonly durable: Promise<void> | undefined
}): Done => ({ ...outcome, durable })

const isUnavailable = (thrown: unknown): boolean =>
  thrown instanceof SluiceError && thrown.code === 'ServiceUnavailableException'

function answersOf(topic: ShadowRequestTopic, done: Done, request: Message): ShadowAnswers {
  const { accepted, error, durable } = done
  const answer: readonly [string, SqlObject] =
    accepted === undefined
      ? [`${topic.operation}/rejected`, errorDocument(error ?? shadowErrors.internal)]
      : [`${topic.operation}/accepted`, accepted]
  return { messages: messagesOf(topic, [answer, ...done.told], done, request), durable }
}

function callOf(topic: ShadowRequestTopic, done: Done, clock: Clock): ShadowCall {
  const { accepted, error, clientToken, durable } = done
  if (accepted === undefined) {
    return { error: error ?? shadowErrors.internal, messages: [], durable: undefined }
  }
  const about = { timestampMs: clock.wallMs() }
  const told: ShadowOutcome['told'] =
    topic.operation === 'update' ? [['update/accepted', accepted], ...done.told] : []
  return {
    answer: jsonOf(withToken(accepted, clientToken)),
    messages: messagesOf(topic, told, done, about),
    durable,
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
