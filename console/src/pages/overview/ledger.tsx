import { grouped } from '../../parts/figures.ts'
import type { LedgerCounts } from './snapshot.ts'

const parts = [
  ['delivered', 'delivered'],
  ['queued', 'queued'],
  ['deadLettered', 'dead letters'],
  ['dropped', 'dropped'],
] as const

/** What became of all records that were accepted, and whether it adds up. */
export function Ledger({ counts }: { counts: LedgerCounts }) {
  const sum = parts.reduce((total, [name]) => total + counts[name], 0)
  const balances = sum === counts.accepted
  return (
    <section aria-labelledby="ledger">
      <h2 id="ledger">
        Ledger{' '}
        <span class={`mark ${balances ? 'good' : 'bad'}`}>
          {balances ? 'balances' : `differs by ${grouped(counts.accepted - sum)}`}
        </span>
      </h2>
      <div class="ledger">
        <LedgerTerm value={counts.accepted} name="records accepted" />
        {parts.map(([name, title], index) => (
          <>
            <span class="ledger-sign">{index === 0 ? '=' : '+'}</span>
            <LedgerTerm value={counts[name]} name={title} />
          </>
        ))}
      </div>
      <p class="foot">
        Since the data folder was made.{' '}
        {counts.handedOver > 0 &&
          `Of those delivered, ${grouped(counts.handedOver)} went to the error action of their rule.`}
      </p>
    </section>
  )
}

function LedgerTerm({ value, name }: { value: number; name: string }) {
  return (
    <span>
      <strong>{grouped(value)}</strong> <span class="soft">{name}</span>
    </span>
  )
}
