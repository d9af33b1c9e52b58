import type { ActionOutcome } from '../actions/action/action.ts'
import type { Clock } from '../base/clock.ts'
import type { Message } from '../message.ts'
import { errorActionIndex, targetOf } from '../outbox/outbox.ts'
import type { AppendOptions, NewRecord, Outbox, SourceMessage } from '../outbox/outbox.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { MessageDocument, SqlEnvironment, WherePart } from '../sql/sql.ts'
import { redactedText } from '../redaction/redacted-json.ts'
import type { MessageWatch } from '../watch/message-watch.ts'
import type { WatchedAction, WatchedRule } from '../watch/watch-event.ts'
import type { RuleObserver } from './observed-rules.ts'
import type { RuleOutcome } from './run-rule.ts'

/** Rules that an event shows; those that matched or failed come first. */
const rulesShownMax = 50
/** Explaining a WHERE evaluates it again. */
const explainedMax = 20

/** Tells of a message that concerns no rule. */
export function tellUnwanted(
  watch: MessageWatch,
  message: Message,
  { newUuid }: Pick<SqlEnvironment, 'newUuid'>,
): void {
  watchRules(watch, message, { messageId: message.traceId ?? newUuid() }, [])?.ended()
}

/**
 * Collects what rules make of one message that is watched, and tells it in one event.
 *
 * @returns undefined when nobody watches this message
 */
export function watchRules(
  watch: MessageWatch,
  message: Message,
  source: Pick<SourceMessage, 'messageId'>,
  rules: readonly Pick<CompiledRule, 'name'>[],
): RuleObserver | undefined {
  const ruleNames = rules.map(({ name }) => name)
  const told = watch.begin(message, ruleNames)
  if (told === undefined) return undefined
  const { redaction } = watch
  const shown = redaction?.of(message.payload)
  const text = (given: string) => shown?.text(given) ?? given
  const hiding = redaction && shown && { ...redaction, ...shown }
  const noted = new Map<string, WatchedRule>()
  let explanationsLeft = explainedMax

  const reasonOf = (rule: CompiledRule, document: MessageDocument, outcome: RuleOutcome) => {
    if (outcome.matched) return undefined
    if (outcome.failure) return text(`${outcome.failure.where}: ${outcome.failure.message}`)
    if (explanationsLeft-- <= 0) return undefined
    const because = whereIsNotTrue(rule.statement.explainWhere(document, hiding))
    return because === undefined ? undefined : text(because)
  }

  const actionsOf = (rule: CompiledRule, outcome: ActionOutcome, index: number) => {
    const actions = shownActions(rule, outcome, index)
    if (redaction === undefined) return actions
    const isNamed = redaction.isNamedInTemplates(JSON.stringify(definitionOf(rule, index) ?? ''))
    const redacted = (given: string | undefined) =>
      given === undefined ? undefined : isNamed ? redactedText : text(given)
    return actions.map(({ partitionKey, reason, ...action }): WatchedAction => {
      return { ...action, partitionKey: redacted(partitionKey), reason: redacted(reason) }
    })
  }

  return {
    outcome(rule, document, outcome) {
      const actions = outcome.actions.flatMap((action, index) => actionsOf(rule, action, index))
      const because = reasonOf(rule, document, outcome)
      noted.set(rule.name, { ruleName: rule.name, matched: outcome.matched, because, actions })
    },
    errorAction(rule, outcome) {
      const before = noted.get(rule.name)
      if (before === undefined) return
      const actions = [...before.actions, ...actionsOf(rule, outcome, errorActionIndex)]
      noted.set(rule.name, { ...before, actions })
    },
    ended() {
      const all = [...noted.values()].toSorted((left, right) => weight(left) - weight(right))
      const event = {
        messageId: source.messageId,
        at: new Date(message.timestampMs).toISOString(),
        topic: text(message.topic),
        clientId: message.clientId,
        qos: message.qos,
        bytes: message.payload.length,
        rules: all.slice(0, rulesShownMax),
        furtherRules: all.length > rulesShownMax ? all.length - rulesShownMax : undefined,
      }
      told(event, message.payload)
    },
  }
}

const definitionOf = ({ payload }: CompiledRule, index: number) =>
  index === errorActionIndex ? payload.errorAction : payload.actions[index]

const weight = ({ matched, actions, because }: WatchedRule): number =>
  matched || actions.length > 0 ? 0 : because === undefined ? 2 : 1

function shownActions(
  rule: CompiledRule,
  outcome: ActionOutcome,
  actionIndex: number,
): readonly WatchedAction[] {
  const action = actionIndex === errorActionIndex ? rule.errorAction : rule.actions[actionIndex]
  const shown = { kind: action?.kind ?? '', actionIndex }
  if (!outcome.ok) return [{ ...shown, state: 'failed', reason: outcome.failure.message }]
  return [
    ...outcome.records.map(({ destination, partitionKey }): WatchedAction => {
      const isStream = destination.kind === 'kinesis'
      return { ...shown, state: 'queued', partitionKey: isStream ? partitionKey : undefined }
    }),
    ...outcome.messages.map((): WatchedAction => ({ ...shown, state: 'republished' })),
  ]
}

interface AppendParts {
  readonly watch: MessageWatch
  readonly outbox: Pick<Outbox, 'append'>
  readonly clock: Clock
}

/** Appends records, and tells of each message when its records are durable, or dropped. */
export function appendWatched(
  { watch, outbox, clock }: AppendParts,
  records: readonly NewRecord[],
  options: AppendOptions,
): Promise<void> {
  const dropped = new Set<NewRecord>()
  const onDropped = (ofCall: readonly NewRecord[]) => {
    options.onDropped?.(ofCall)
    for (const record of ofCall) {
      dropped.add(record)
      tellDropped(watch, record, clock.wallMs())
    }
  }
  const durable = outbox.append(records, { ...options, onDropped })
  const kept = records.filter((record) => !dropped.has(record))
  const sources = new Set(kept.map(({ source }) => source))
  const tell = () => {
    for (const { messageId, timestampMs } of sources) {
      watch.durable({ messageId, latencyMs: clock.wallMs() - timestampMs })
    }
  }
  // A failure is told to those who wait for the message.
  durable.then(tell, () => undefined)
  return durable
}

function tellDropped(watch: MessageWatch, record: NewRecord, nowMs: number): void {
  const { source, ruleName, actionIndex, destination } = record
  const { messageId, timestampMs, payload } = source
  if (!watch.follows(messageId)) return
  const target = targetOf(destination)
  watch.failed({
    messageId,
    latencyMs: nowMs - timestampMs,
    ruleName,
    actionIndex,
    kind: destination.kind,
    destination: watch.redaction?.of(payload).text(target) ?? target,
    reason: 'the destination has no room, and a message of QoS 0 does not wait for it',
    followedBy: 'nothing',
  })
}

const partsShownMax = 3

/** The parts of a condition that keep it from being true, with their values. */
function whereIsNotTrue(where: WherePart | undefined): string | undefined {
  if (where === undefined) return undefined
  const decisive = decisivePartsOf(where)
  const shown = decisive.slice(0, partsShownMax).map((part) => {
    const values = part.parts.map((operand) => shownNote(operand) ?? isShown(operand))
    const isPlain = part.note === undefined || part.parts.some(({ note }) => note !== undefined)
    const details = [...values, ...(isPlain ? [] : [shownNote(part)])].join(', ')
    return `${isShown(part)}${details && ` (${details})`}`
  })
  const further = decisive.length - shown.length
  return [...shown, ...(further > 0 ? [`and ${further} more`] : [])].join('; ')
}

/** Down through AND, OR and NOT to the comparisons that are not true. */
function decisivePartsOf(part: WherePart): readonly WherePart[] {
  const conditions = part.parts.filter(({ parts, value }) => parts.length > 0 || isBoolean(value))
  if (conditions.length === 0 || conditions.length < part.parts.length) return [part]
  const untrue = conditions.filter(({ value }) => value.json !== 'true')
  return untrue.length === 0 ? [part] : untrue.flatMap(decisivePartsOf)
}

const isBoolean = ({ type }: WherePart['value']): boolean => type === 'Boolean'
const shownNote = ({ note, isHidden }: WherePart) => (isHidden ? undefined : note)

/** A part and its value, such as `temp is 61.5`. */
function isShown({ text, value, isHidden }: WherePart): string {
  return `${oneLine(text)} is ${isHidden ? redactedText : (value.json ?? value.type)}`
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')
