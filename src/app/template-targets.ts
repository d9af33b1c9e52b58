import { messageOf } from '../base/errors.ts'
import type { EventSourceMappings } from '../event-source/event-source-mappings.ts'
import type { Origin, Stack, StackStream } from '../infrastructure/stack.ts'
import type { NoteRecorded } from '../lab/calls/lab-actions.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import { printableLine } from '../telemetry/printable.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { LabStage } from './lab-stage.ts'

/**
 * Brings a part of a stack into force, in place of what it held before. What cannot be used is
 * logged.
 *
 * @returns what has changed, for people
 */
export type TemplateTarget = (stack: Stack) => Promise<readonly string[]>

export interface RuleTargetDependencies {
  readonly lab: LabStage
  readonly rules: Pick<RuleStore, 'hold' | 'byName'>
  readonly noteRecorded: NoteRecorded | undefined
  readonly logger: Logger
}

/** Streams and rules. Streams that are gone stay, with their records. */
export function createRuleTarget(dependencies: RuleTargetDependencies): TemplateTarget {
  const { lab, rules, noteRecorded, logger } = dependencies
  let shards: ReadonlyMap<string, number> = new Map()

  return async (stack) => {
    shards = await setShardCounts(dependencies, stack.streams, shards)
    await makeSources(dependencies, stack)
    const { changed, removed, problems } = rules.hold(
      stack.rules.map(({ file, resource, ...rule }) => ({
        ...rule,
        origin: originText({ file, resource }),
      })),
    )
    await lab.streamsMade()
    for (const { name, origin, text, isKept } of problems) {
      const consequence = isKept ? 'its last good version stays in force' : 'it is left out'
      const whole = `rule ${name} (${origin}) cannot be used, ${consequence}: ${text}`
      logger.error({ rule: name }, printableLine(whole))
    }
    for (const name of changed) {
      const payload = rules.byName(name)?.payload
      if (payload) noteRecorded?.(name, payload)
    }
    return [
      ...changed.map((name) => `rule ${name}`),
      ...removed.map((name) => `rule ${name} removed`),
    ]
  }
}

export function createMappingTarget({
  mappings,
  logger,
}: {
  readonly mappings: Pick<EventSourceMappings, 'hold'>
  readonly logger: Pick<Logger, 'error'>
}): TemplateTarget {
  return async (stack) => {
    const { changed, removed, problems } = await mappings.hold(
      stack.mappings.map(({ file, resource, request }) => ({
        origin: originText({ file, resource }),
        request,
      })),
    )
    for (const { origin, text } of problems) {
      logger.error({}, printableLine(`the event source mapping ${origin} is left out: ${text}`))
    }
    return [
      ...changed.map((origin) => `event source mapping ${origin}`),
      ...removed.map((origin) => `event source mapping ${origin} removed`),
    ]
  }
}

/** What holds a part, for people: `ReadingsRule of template.yaml`. */
export function originText({ file, resource }: Origin): string {
  return printableLine(`${resource} of ${file}`)
}

/** A stream gets its number of shards at the start, and when the template changes it. */
async function setShardCounts(
  { lab, logger }: RuleTargetDependencies,
  streams: readonly StackStream[],
  before: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const made = new Map<string, number>()
  for (const { name, shards, ...origin } of streams) {
    try {
      if (before.get(name) !== shards) await lab.setShardCount(name, shards)
      made.set(name, shards)
    } catch (thrown) {
      const text = `the stream ${name} (${originText(origin)}) cannot have ${shards} shards`
      logger.error({ stream: name }, printableLine(`${text}: ${messageOf(thrown)}`))
    }
  }
  return made
}

/** Mappings may read streams that no template makes. */
async function makeSources(
  { lab, logger }: RuleTargetDependencies,
  { mappings }: Stack,
): Promise<void> {
  for (const { request } of mappings) {
    const arn = String(request['EventSourceArn'])
    if (arn.includes('/consumer/')) continue
    await lab.ensureStream(arn).catch((thrown: unknown) => {
      const text = `the stream ${arn} cannot be made: ${messageOf(thrown)}`
      logger.error({ stream: arn }, printableLine(text))
    })
  }
}
