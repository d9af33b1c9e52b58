/**
 * The outputs of the rules of one message. Rules with the same SELECT make the same bytes: their
 * records then hold one buffer instead of a copy for each, and share it in the outbox.
 */
export interface RuleOutputs {
  /** The buffer that holds these bytes already, or the output itself. */
  same(output: Buffer): Buffer
}

/** Different outputs that are remembered. Each output is compared with those of its length. */
const outputsMax = 16

export function createRuleOutputs(): RuleOutputs {
  const known: Buffer[] = []
  return {
    same(output) {
      for (const one of known) if (one.length === output.length && one.equals(output)) return one
      if (known.length < outputsMax) known.push(output)
      return output
    },
  }
}
