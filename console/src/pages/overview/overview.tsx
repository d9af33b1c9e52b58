import { Page } from '../../parts/page.tsx'
import { Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { Destinations } from './destinations.tsx'
import { Figures } from './figures.tsx'
import { Ledger } from './ledger.tsx'
import { readSnapshot } from './snapshot.ts'
import { Summary, titleOf } from './summary.tsx'
import './overview.css'

const everyMs = 2_000

/** Is it healthy, what flows, and what needs a look. */
export function Overview() {
  const { value: snapshot, error } = useLoaded(readSnapshot, 'overview', everyMs)
  return (
    <Page title={snapshot ? titleOf(snapshot) : 'Overview'}>
      {error !== undefined && <Failure error={error} />}
      {snapshot === undefined ? (
        error === undefined && <Loading />
      ) : (
        <>
          <Summary snapshot={snapshot} />
          <Figures snapshot={snapshot} />
          <Destinations outbox={snapshot.outbox} />
          <Ledger counts={snapshot.outbox.ledger} />
        </>
      )}
    </Page>
  )
}
