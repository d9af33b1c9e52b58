import { useRef } from 'preact/hooks'
import { duration, grouped, rate } from '../../parts/figures.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { WindowedRows } from '../../parts/windowed-rows.tsx'
import { pathOf } from '../../shell/route.ts'
import type { CountedRule } from './read-rules.ts'

/** A failure that is older is not shown any more. */
const recentMs = 300_000

/** @param at when the rules were read, in epoch milliseconds */
export function RuleTable({ rules, at }: { rules: readonly CountedRule[]; at: number }) {
  const rateOf = useRates(rules, at)
  return (
    <table class="rules">
      <thead>
        <tr>
          <th scope="col">Rule</th>
          <th scope="col">Topics</th>
          <th scope="col">State</th>
          <th scope="col" class="number wide">
            Matched /s
          </th>
          <th scope="col" class="number">
            Matched
          </th>
          <th scope="col" class="number wide">
            Not matched
          </th>
          <th scope="col" class="number wide">
            Failed
          </th>
        </tr>
      </thead>
      <WindowedRows
        rows={rules}
        keyOf={({ ruleName }) => ruleName}
        classOf={({ ruleDisabled }) => (ruleDisabled ? 'is-disabled' : '')}
      >
        {(rule) => <Cells rule={rule} rate={rateOf(rule.ruleName)} at={at} />}
      </WindowedRows>
    </table>
  )
}

function Cells({ rule, rate: perSecond, at }: { rule: CountedRule; rate: number; at: number }) {
  const { ruleName, topicPattern, evaluations } = rule
  const figure = (name: 'matched' | 'unmatched' | 'failed') =>
    evaluations === undefined ? '' : grouped(evaluations[name])
  return (
    <>
      <th scope="row">
        <a href={pathOf('rules', ruleName)}>{ruleName}</a>
      </th>
      <td>
        <code>{visibleText(topicPattern ?? 'Basic Ingest alone')}</code>
      </td>
      <td>
        <State rule={rule} at={at} />
      </td>
      <td class="number wide">{evaluations && rate(perSecond)}</td>
      <td class="number">{figure('matched')}</td>
      <td class="number wide">{figure('unmatched')}</td>
      <td class={`number wide ${(evaluations?.failed ?? 0) > 0 ? 'bad' : ''}`}>
        {figure('failed')}
      </td>
    </>
  )
}

function State({ rule: { ruleDisabled, lastFailure }, at }: { rule: CountedRule; at: number }) {
  if (ruleDisabled) return <span class="mark">disabled</span>
  if (lastFailure === undefined || at - lastFailure.atMs > recentMs) {
    return <span class="mark good">enabled</span>
  }
  return (
    <span class="mark bad" title={visibleText(`${lastFailure.code}: ${lastFailure.reason}`)}>
      failed {duration(at - lastFailure.atMs)} ago
    </span>
  )
}

interface Reading {
  readonly at: number
  readonly matched: ReadonlyMap<string, number>
}

/** @returns messages a second that a rule matched, between the last two readings */
function useRates(rules: readonly CountedRule[], at: number): (ruleName: string) => number {
  const readings = useRef<{ before?: Reading; now?: Reading }>({})
  if (readings.current.now?.at !== at) {
    const matched = new Map(rules.map((rule) => [rule.ruleName, rule.evaluations?.matched ?? 0]))
    const before = readings.current.now
    readings.current = { ...(before && { before }), now: { at, matched } }
  }
  const { before, now } = readings.current
  return (ruleName) => {
    const earlier = before?.matched.get(ruleName)
    if (!before || !now || earlier === undefined) return 0
    const change = Math.max(0, (now.matched.get(ruleName) ?? 0) - earlier)
    return change / Math.max(0.5, (now.at - before.at) / 1_000)
  }
}
