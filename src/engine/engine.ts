import { failureOfRecord } from '../actions/error-action.ts'
import { createClientOrder } from './client-order.ts'
import type { Clock } from '../base/clock.ts'
import { createDistribution } from './distribution.ts'
import type { Distribute } from './distribution.ts'
import { createEngineReport } from './engine-report.ts'
import type { EngineReport } from './engine-report.ts'
import { createFanOut } from './fan-out.ts'
import { createGathering } from './gather.ts'
import type { AnsweringServices, Gathered, Gathering } from './gather.ts'
import type { OnGivenUp, GivenUpRecord } from '../delivery/producer.ts'
import type { Message, MessageSender } from '../message.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { AppendOptions, DeadLetter, NewRecord, Outbox } from '../outbox/outbox.ts'
import type { Redaction } from '../redaction/redaction.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import { subjectOfSource, whenKnown } from './run-rule.ts'
import type { ErrorActionScope } from './run-rule.ts'
import type { SqlEnvironment } from '../sql/sql.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { dropAndLog, logRuleNotFound } from './logged-rules.ts'
import type { Observers } from './observed-rules.ts'
import { appendWatched } from './watched-rules.ts'
import { createMessageWatch } from '../watch/message-watch.ts'
import type { AwsIotLog } from '../watch/aws-iot-log.ts'
import type { MessageWatch } from '../watch/message-watch.ts'
import type { MessageTraces } from '../traces/message-traces.ts'

/**
 * The message path on one screen: match -> evaluate -> act -> durable -> acknowledge.
 *
 * Invariants:
 * - Messages of a client enter the outbox in the order in which `ingest` was called. Everything
 *   before that is synchronous, unless a rule needs the result of an external function: that delays
 *   the later messages of the client, and of no other. Messages that several rules select may also
 *   have to wait for memory (fan-out.ts), and their rules run in several turns of the event loop.
 * - All records of one message are appended together, with those of the messages that its rules
 *   republish: after a crash all of them are there, or none.
 * - The promise of `ingest` resolves only when the records are on disk. Only then does the caller
 *   acknowledge the message, and only then do subscribers get republished messages.
 */
export interface Engine {
  /**
   * @param sender the connection that waits for an answer. A message that waits behind others of
   *   its client is dropped when its sender disconnects.
   * @throws SluiceError SenderGone; or what the outbox rejects with
   */
  readonly ingest: (message: Message, sender?: MessageSender) => Promise<void>
  /**
   * Makes the replacements of records that are given up, by the error actions of their rules.
   * Records of one rule and message share one error document and one list of replacements.
   */
  readonly onGivenUp: OnGivenUp
  /**
   * Makes what the action of a dead letter, as its rule is now, makes of the message.
   *
   * @returns undefined when the action makes nothing: the dead letter is kept
   */
  replay(deadLetter: ReplayedDeadLetter): Promise<Gathered | undefined>
  /**
   * Hands republished messages to subscribers. The records that came with them must be durable.
   * Resolves when there is room for more.
   */
  distribute(messages: readonly Message[]): Promise<void>
  /**
   * Takes messages that come from no device, such as what subscribers are told of a shadow: rules
   * run on them, and subscribers get them when the records are durable.
   *
   * @param sender who waits for that, if anyone does
   * @throws what the outbox rejects with
   */
  announce(messages: readonly Message[], sender?: MessageSender): Promise<void>
}

type ReplayedDeadLetter = Pick<DeadLetter, 'ruleName' | 'actionIndex' | 'data' | 'source'>

interface RuleSource {
  /** The enabled rules whose filter matches, in the order of their names. */
  match(topic: string): readonly CompiledRule[]
  byName(ruleName: string): CompiledRule | undefined
}

export interface EngineDependencies {
  readonly rules: RuleSource
  readonly outbox: Pick<Outbox, 'append' | 'admits'>
  /** Answer requests of devices on reserved topics. Absent: nobody does. */
  readonly services?: AnsweringServices | undefined
  readonly distribute: Distribute
  readonly environment: SqlEnvironment
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  /** Absent: everything is logged. */
  readonly redaction?: Redaction | undefined
  /** Absent: nobody can watch. */
  readonly watch?: MessageWatch | undefined
  /** Absent: no traces are made. */
  readonly traces?: Pick<MessageTraces, 'messages'> | undefined
  /** Absent: its entries are not written. */
  readonly awsIotLog?: AwsIotLog | undefined
}

export interface EngineOptions {
  readonly errorActionScope: ErrorActionScope
}

export function createEngine(
  dependencies: EngineDependencies,
  options: EngineOptions = { errorActionScope: 'all' },
): Engine {
  const { rules, outbox, environment, clock } = dependencies
  const observers = observersOf(dependencies)
  const { watch, traces, awsIotLog } = observers
  const whenFull = awsIotLog === undefined ? dropWhenFull : dropAndLog(awsIotLog)
  const report = createEngineReport(dependencies)
  const order = createClientOrder()
  const fanOut = createFanOut()
  const rulesFor = createRulesFor(dependencies, report)
  const gathering = createGathering(
    { ...dependencies, rulesFor, fanOut, report, observers },
    options,
  )

  const { handOn } = createDistribution({ distribute: dependencies.distribute, report })

  /** Appends the records of a message to the outbox, without waiting until they are durable. */
  const append = (message: Message, sender?: MessageSender): Appended | Promise<Appended> => {
    // The messages of a device that waits for no answer must not wait: they would pile up here.
    const mayWait = message.qos > 0 || message.transport === 'http'
    return whenKnown(gathering.ofMessage(message), ({ records, messages, durable: changed }) => {
      if (records.length === 0) traces?.appending(message, 0, nothingAppended.durable)
      if (records.length === 0 && messages.length === 0) return nothingAppended
      const when = mayWait ? (sender ?? waitWhenFull) : whenFull
      const durable = watch.active
        ? appendWatched({ watch, outbox, clock }, records, when)
        : outbox.append(records, when)
      if (records.length > 0) traces?.appending(message, records.length, durable)
      fanOut.add(records, durable)
      return { durable: changed === undefined ? durable : both(durable, changed), messages }
    })
  }

  /** Returns the promise of the outbox itself where possible: many messages share that one. */
  const finish = ({ durable, messages }: Appended): Promise<void> =>
    messages.length === 0 ? durable : handOnWhen(durable, messages)

  const handOnWhen = async (durable: Promise<void>, messages: readonly Message[]) => {
    await durable
    await handOn(messages)
  }

  return {
    ingest(message, sender) {
      const appended = order.inTurn(message, append, sender)
      return appended instanceof Promise ? appended.then(finish) : finish(appended)
    },
    async onGivenUp(records, signal) {
      const { replacements, messages } = await replaceGivenUp(records, {
        rules,
        environment,
        gathering,
        signal,
      })
      // What the disk refuses is told where it happens.
      return { replacements, onDurable: () => void handOn(messages)?.catch(() => undefined) }
    },
    async replay({ ruleName, actionIndex: index, data, source }) {
      const rule = rules.byName(ruleName)
      if (!rule) return undefined
      const subject = subjectOfSource(source, environment)
      const gathered = await gathering.ofAction(rule, subject, { index, data })
      await gathered?.durable
      return gathered
    },
    async distribute(messages) {
      await handOn(messages)
    },
    async announce(messages, sender) {
      for (const message of messages) {
        await finish(await append(message, sender))
        await handOn([message])
      }
    },
  }
}

function observersOf({ clock, watch, traces, awsIotLog }: EngineDependencies): Observers {
  return {
    watch: watch ?? createMessageWatch({ clock }),
    traces: traces?.messages,
    awsIotLog,
    hasOthers: traces !== undefined || awsIotLog !== undefined,
  }
}

/** Finds the rules that a message concerns. */
function createRulesFor(
  { rules, environment, awsIotLog }: EngineDependencies,
  report: Pick<EngineReport, 'ruleNotFound'>,
) {
  return (message: Message): readonly CompiledRule[] => {
    if (message.basicIngestRule === undefined) return rules.match(message.topic)
    const rule = rules.byName(message.basicIngestRule)
    if (rule && !rule.disabled) return [rule]
    report.ruleNotFound(message)
    if (awsIotLog !== undefined) logRuleNotFound(awsIotLog, message, environment)
    return []
  }
}

/** A message whose records are appended, and the messages that its rules republish. */
interface Appended {
  readonly durable: Promise<void>
  readonly messages: readonly Message[]
}

const both = async (...durable: readonly Promise<unknown>[]): Promise<void> => {
  await Promise.all(durable)
}

const nothingAppended: Appended = Object.freeze({ durable: Promise.resolve(), messages: [] })
const waitWhenFull: AppendOptions = Object.freeze({ whenFull: 'wait' })
const dropWhenFull: AppendOptions = Object.freeze({ whenFull: 'drop' })

interface ReplacementParts extends Pick<EngineDependencies, 'rules' | 'environment'> {
  readonly gathering: Gathering
  /** When it aborts, nothing waits for the replacements any more. */
  readonly signal: AbortSignal | undefined
}

async function replaceGivenUp(
  records: readonly GivenUpRecord[],
  { rules, environment, gathering, signal }: ReplacementParts,
) {
  const replacements: (readonly NewRecord[] | undefined)[] = records.map(() => undefined)
  const messages: Message[] = []
  for (const group of groupsOf(records).values()) {
    if (signal?.aborted === true) break
    const [first] = group
    const rule = first && rules.byName(first.ruleName)
    if (!rule) continue
    const subject = subjectOfSource(first.source, environment)
    const failures = group.map(({ givenUp }) => failureOfRecord(givenUp))
    const gathered = await gathering.ofErrorAction(rule, subject, failures)
    if (!gathered) continue
    // Before the records that are given up go.
    await gathered.durable
    for (const { index } of group) replacements[index] = gathered.records
    messages.push(...gathered.messages)
  }
  return { replacements, messages }
}

interface IndexedRecord extends Pick<NewRecord, 'ruleName' | 'source'> {
  readonly givenUp: GivenUpRecord
  readonly index: number
}

/** Groups records by rule and message. Records of error actions have no error action themselves. */
function groupsOf(
  records: readonly GivenUpRecord[],
): ReadonlyMap<string, readonly IndexedRecord[]> {
  const groups = new Map<string, IndexedRecord[]>()
  for (const [index, givenUp] of records.entries()) {
    const { actionIndex, ruleName, source } = givenUp.record
    if (actionIndex === errorActionIndex) continue
    const key = `${ruleName}/${source.messageId}`
    const group = groups.get(key) ?? []
    group.push({ givenUp, index, ruleName, source })
    groups.set(key, group)
  }
  return groups
}
