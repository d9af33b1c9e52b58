import { systemClock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { StackRule } from '../../infrastructure/stack.ts'
import type { CompileRule, CompiledRule } from '../../rules/compile-rule.ts'
import { readPayload } from '../../rules/payload.ts'
import { ruleNameOfFile } from '../../rules/rule-files.ts'

/** Compiles a rule that a stack template holds, or says why it cannot be used. */
export function compileTemplateRule(
  { name, payload, tags }: StackRule,
  compile: CompileRule,
): { readonly compiled?: CompiledRule; readonly problem?: string } {
  if (ruleNameOfFile(`${name}.json`) === undefined) {
    return { problem: 'a rule is named by 1 to 128 letters, digits and _' }
  }
  try {
    const createdAt = Math.floor(systemClock.wallMs() / 1_000)
    return { compiled: compile({ name, ...readPayload(payload), createdAt, tags }) }
  } catch (thrown) {
    if (thrown instanceof SluiceError) return { problem: thrown.message }
    throw thrown
  }
}
