/** The random steps that are taken against an outbox at its bounds. */
import * as fc from 'fast-check'

export const streams = ['s0', 's1', 's2', 's3', 's4']
const stream = fc.constantFrom(...streams)
const ruleName = fc.constantFrom('r0', 'r1', 'r2', 'r3')
/** The first records of one of the streams that have some. */
const some = { at: fc.nat(2), count: fc.nat(4) }
const message = {
  ruleName,
  to: fc.array(stream, { minLength: 1, maxLength: 4 }),
  /** Whether a further action of the rule fails. */
  fails: fc.boolean(),
}
const kind = <Kind extends string>(name: Kind) => fc.constant(name)

export const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: kind('append'),
      /** They go to disk together. What is dropped frees its destinations: it comes last. */
      messages: fc.array(fc.record(message), { maxLength: 2 }),
      last: fc.record({ ...message, whenFull: fc.constantFrom('wait' as const, 'drop' as const) }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: kind('deliver'), ...some }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: kind('giveUp'),
      ...some,
      how: fc.constantFrom('letter', 'letter', 'own', 'shared'),
      to: fc.array(stream, { maxLength: 2 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: kind('replay'),
      how: fc.constantFrom('asIs', 'rule', 'otherRule', 'nothing'),
      of: fc.option(ruleName, { nil: undefined }),
      one: fc.boolean(),
      /** Each dead letter has its own, in turn: as streams of devices. */
      to: fc.array(fc.array(stream, { maxLength: 2 }), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('delete'),
      of: fc.option(ruleName, { nil: undefined }),
      one: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind('reopen') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('crashInReplay'),
      turns: fc.nat(12),
      how: fc.constantFrom('asIs', 'rule'),
      of: fc.option(ruleName, { nil: undefined }),
      one: fc.constant(false),
      to: fc.array(fc.array(stream, { minLength: 1, maxLength: 2 }), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind('crash'),
      turns: fc.nat(8),
      ...message,
      delivered: fc.record(some),
      givenUp: fc.record(some),
    }),
  },
)
export type Step = typeof step extends fc.Arbitrary<infer Taken> ? Taken : never
export type StepOf<Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>
