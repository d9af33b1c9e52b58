import { call } from '../api/engine.ts'
import { clockTime } from '../parts/figures.ts'
import { Page } from '../parts/page.tsx'
import { Empty, Failure, Loading } from '../parts/status.tsx'
import { useLoaded } from '../parts/use-loaded.ts'
import { pathOf } from '../shell/route.ts'

interface LabCall {
  readonly at: string
  readonly ruleName?: string
  readonly mapping?: string
  readonly kind: string
  readonly operation: string
  /** Absent where the key may not see payloads. */
  readonly parameters?: unknown
  readonly topic?: string
}

interface Listing {
  readonly calls: readonly LabCall[]
  readonly nextToken?: string
}

const everyMs = 2_000
const shownMax = 200

/** The newest calls: the list begins with the oldest, so it is read to its end. */
async function readCalls(signal: AbortSignal): Promise<readonly LabCall[]> {
  let calls: readonly LabCall[] = []
  let nextToken: string | undefined
  do {
    const page: Listing = await call({
      path: '/v1/lab/calls',
      query: { maxResults: '1000', nextToken },
      signal,
    })
    calls = [...calls, ...page.calls].slice(-shownMax)
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return calls.toReversed()
}

export function Calls() {
  const { value, error } = useLoaded(readCalls, 'calls', everyMs)
  return (
    <Page title={value ? `Calls: the newest ${value.length} that the lab recorded` : 'Calls'}>
      {error !== undefined && <Failure error={error} />}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : value.length === 0 ? (
        <Empty title="The lab has recorded no call.">
          <p>
            Actions for services that the lab does not have, such as a queue or a table, are
            recorded here instead of being sent.
          </p>
        </Empty>
      ) : (
        <ol class="letters">
          {value.map(({ at, ruleName, mapping, kind, operation, parameters, topic }, index) => (
            <li key={`${at} ${index}`}>
              <details>
                <summary class="message">
                  <time>{clockTime(at)}</time>
                  <span class="topic">
                    {kind} {operation}
                  </span>
                  <span class="client">{topic ?? ''}</span>
                  <span>{ruleName ?? mapping}</span>
                </summary>
                {parameters === undefined ? (
                  <p>Your key may not see it: its policy does not allow sluice:ReadPayloads.</p>
                ) : (
                  <pre>{JSON.stringify(parameters, null, 2)}</pre>
                )}
                {ruleName !== undefined && (
                  <p class="foot">
                    made by <a href={pathOf('rules', ruleName)}>{ruleName}</a>
                  </p>
                )}
              </details>
            </li>
          ))}
        </ol>
      )}
    </Page>
  )
}
