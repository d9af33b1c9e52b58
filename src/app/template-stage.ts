import { labAccountId } from '../config/config.ts'
import type { EventSourceMappings } from '../event-source/event-source-mappings.ts'
import { createHeldFunctions } from '../event-source/functions/held-functions.ts'
import type { HeldFunctions } from '../event-source/functions/held-functions.ts'
import type { FollowedStacks } from '../infrastructure/follow-stacks.ts'
import type { Stack, StackOptions } from '../infrastructure/stack.ts'
import type { Clock } from '../base/clock.ts'
import { deepFreeze } from '../base/deep-freeze.ts'
import { messageOf } from '../base/errors.ts'
import { printableLine } from '../telemetry/printable.ts'
import type { AppDependencies } from './app-dependencies.ts'
import { createTemplateReport, shorten } from './template-report.ts'
import { createMappingTarget, createRuleTarget } from './template-targets.ts'
import type { RuleTargetDependencies, TemplateTarget } from './template-targets.ts'

/** Stack templates that the lab runs. */
export interface TemplateOptions {
  /** Files, or folders that hold one with a usual name. */
  readonly paths: readonly string[]
  readonly parameters: ReadonlyMap<string, string>
}

/**
 * Brings what stack templates define into force, and follows their changes. The rules folder and
 * the functions folder stay as they are, and come first where both have a name.
 */
export interface TemplateStage {
  /** The functions of the templates, from the beginning on. */
  readonly functions: HeldFunctions
  /** Makes the streams, and brings the rules into force. */
  holdRules(dependencies: Omit<RuleTargetDependencies, 'logger'>): Promise<void>
  /** Brings the mappings into force, and removes those of earlier runs that are gone. */
  holdMappings(mappings: Pick<EventSourceMappings, 'hold'>): Promise<void>
  /** Follows changes until it is closed. */
  follow(): { close(): Promise<void> }
}

/** What is brought into force when the lab stops is not waited for longer. */
const closeTimeoutMs = 1_000

/** @throws SluiceError TemplateInvalid (rejects): a template cannot be used */
export async function openTemplateStage({
  config,
  clock,
  logger,
  templates = { paths: [], parameters: new Map() },
}: AppDependencies): Promise<TemplateStage> {
  const { region, accountId = labAccountId, functionsDir } = config
  const { paths, parameters } = templates
  const place = { region, accountId, parameters }
  const followed = await openStacks({ clock }, paths, place)
  const functions = createHeldFunctions(clock)
  const report = createTemplateReport({ logger, functions }, { functionsDir })
  const targets: TemplateTarget[] = []
  let stack = followed.first
  functions.replace(stack.functions)

  async function bringIntoForce(next: Stack): Promise<void> {
    const before = stack
    stack = next
    functions.replace(stack.functions)
    const parts = differences(before, stack)
    for (const target of targets) parts.push(...(await target(stack)))
    const text = parts.length === 0 ? 'nothing that the lab takes' : shorten(parts)
    logger.info({ templates: paths }, `the template has changed: ${text}`)
    await report(stack)
  }

  return {
    functions,
    async holdRules(dependencies) {
      if (paths.length === 0) return
      const target = createRuleTarget({ ...dependencies, logger })
      await target(stack)
      targets.push(target)
      const { rules, streams, functions: found, mappings } = stack
      logger.info(
        { templates: paths },
        `the template gives ${rules.length} rules, ${streams.length} streams, ` +
          `${mappings.length} event source mappings and ${found.length} functions`,
      )
      await report(stack)
    },
    async holdMappings(mappings) {
      const target = createMappingTarget({ mappings, logger })
      await target(stack)
      targets.push(target)
    },
    follow() {
      if (paths.length === 0) return { close: () => Promise.resolve() }
      followed.follow({
        onStack: (next) =>
          bringIntoForce(next).catch((thrown: unknown) => {
            const text = 'the template could not be brought into force'
            logger.error({ err: thrown }, `${text}: ${messageOf(thrown)}`)
          }),
        onFault: (problem) => {
          const text = `the template cannot be used, what it said before stays: ${problem}`
          logger.error({ templates: paths }, printableLine(text))
        },
      })
      return {
        async close() {
          const late = new AbortController()
          await Promise.race([followed.close(), clock.sleep(closeTimeoutMs, late.signal)])
          late.abort()
        },
      }
    },
  }
}

/** The readers of templates are loaded where there are some. */
async function openStacks(
  dependencies: { readonly clock: Clock },
  paths: readonly string[],
  options: StackOptions,
): Promise<FollowedStacks> {
  if (paths.length === 0) {
    return { first: noStack, follow: () => undefined, close: () => Promise.resolve() }
  }
  const { followStacks } = await import('../infrastructure/follow-stacks.ts')
  return followStacks(dependencies, paths, options)
}

const noStack: Stack = deepFreeze({
  rules: [],
  streams: [],
  mappings: [],
  functions: [],
  unresolved: [],
  skipped: [],
  notRead: new Map(),
})

/** What nobody else tells of. */
function differences(before: Stack, after: Stack): string[] {
  return [
    ...differencesOf('stream', before.streams, after.streams),
    ...differencesOf('function', before.functions, after.functions),
  ]
}

function differencesOf(
  kind: string,
  before: readonly { readonly name: string }[],
  after: readonly { readonly name: string }[],
): readonly string[] {
  const texts = new Map(before.map((part) => [part.name, JSON.stringify(part)]))
  const changed = after.filter((part) => texts.get(part.name) !== JSON.stringify(part))
  const kept = new Set(after.map(({ name }) => name))
  const removed = before.filter(({ name }) => !kept.has(name))
  return [
    ...changed.map(({ name }) => `${kind} ${name}`),
    ...removed.map(({ name }) => `${kind} ${name} removed`),
  ]
}
