import type { Clock } from '../base/clock.ts'
import { SluiceError, lineOf } from '../base/errors.ts'
import type { CompileRule } from './compile-rule.ts'
import { readPayload, ruleNamePattern } from './payload.ts'
import type { HeldRule, RuleCatalogue } from './rule-catalogue.ts'
import { limitText } from './rule-loader.ts'

/** A rule that something beside the folder defines. */
export interface HeldRuleDefinition {
  readonly name: string
  /** A payload of the API, not yet checked. */
  readonly payload: unknown
  readonly tags: Readonly<Record<string, string>>
  /** What holds it, for people: `ReadingsRule of template.yaml`. */
  readonly origin: string
}

export interface HeldRuleChanges {
  /** Names of the rules that are new or changed. */
  readonly changed: readonly string[]
  readonly removed: readonly string[]
  readonly problems: readonly HeldRuleProblem[]
}

interface HeldRuleProblem {
  readonly name: string
  readonly origin: string
  /** One line with all faults. */
  readonly text: string
  /** Whether the last good version of the rule stays in force. */
  readonly isKept: boolean
}

const ruleName = new RegExp(ruleNamePattern)

/**
 * Rules that are in force without a file in the folder. They are read-only for the API.
 *
 * @returns a function that replaces all of them; a rule that cannot be used keeps its last good
 *   version
 */
export function createHeldRules(
  {
    catalogue,
    compile,
    clock,
  }: {
    readonly catalogue: RuleCatalogue
    readonly compile: CompileRule
    readonly clock: Clock
  },
  { rulesMax }: { readonly rulesMax: number },
): (definitions: readonly HeldRuleDefinition[]) => HeldRuleChanges {
  /** The texts that the held rules were made of, by name. */
  let texts: ReadonlyMap<string, string> = new Map()

  function make({ name, payload, tags, origin }: HeldRuleDefinition): HeldRule {
    if (!ruleName.test(name)) {
      const text = 'a rule is named by 1 to 128 letters, digits and _'
      throw new SluiceError('InvalidRequestException', text)
    }
    const createdAt = catalogue.held(name)?.rule.createdAt ?? Math.floor(clock.wallMs() / 1_000)
    const rule = compile({ name, ...readPayload(payload), createdAt, tags })
    return { rule, origin }
  }

  return (definitions) => {
    const made = new Map<string, HeldRule>()
    const textsMade = new Map<string, string>()
    const changed: string[] = []
    const problems: HeldRuleProblem[] = []
    let room = rulesMax - catalogue.all().filter(({ name }) => catalogue.entry(name)).length
    for (const definition of definitions) {
      const { name, origin } = definition
      const text = JSON.stringify(definition)
      const before = catalogue.held(name)
      const isHidden = catalogue.entry(name) !== undefined
      try {
        if (room <= 0 && !isHidden) {
          throw new SluiceError('InvalidRequestException', limitText(rulesMax))
        }
        const isSame = before !== undefined && texts.get(name) === text
        made.set(name, isSame ? before : make(definition))
        textsMade.set(name, text)
        if (!isSame) changed.push(name)
      } catch (thrown) {
        if (!(thrown instanceof SluiceError)) throw thrown
        if (before) made.set(name, before)
        problems.push({ name, origin, text: lineOf(thrown), isKept: before !== undefined })
      }
      if (made.has(name) && !isHidden) room -= 1
    }
    const removed = [...texts.keys()].filter((name) => !made.has(name))
    texts = textsMade
    catalogue.hold([...made.values()])
    return { changed, removed, problems }
  }
}
