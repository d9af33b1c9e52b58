import { useState } from 'preact/hooks'
import { duration, grouped, rate } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { CopyLine, Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { WindowedRows } from '../../parts/windowed-rows.tsx'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { Client } from './client.tsx'
import './clients.css'
import { createRates, readClients } from './read-clients.ts'
import type { ClientList, ListedClient, Rates } from './read-clients.ts'

const everyMs = 5_000

/** The list of connected clients, or one of them. */
export function Clients({ route: { name, query } }: { readonly route: Route }) {
  return name === undefined ? <ClientsFound query={query} /> : <Client key={name} clientId={name} />
}

function ClientsFound({ query }: { query: URLSearchParams }) {
  const filter = { prefix: query.get('prefix') ?? '', topic: query.get('topic') ?? '' }
  const key = `${filter.prefix} ${filter.topic}`
  const [first, setFirst] = useState<{ readonly key: string; readonly list: ClientList }>()
  const [rates] = useState(createRates)
  const { value, error, at } = useLoaded(
    (signal) => readClients(filter, signal, (list) => setFirst({ key, list })),
    key,
    everyMs,
  )
  const list = value ?? (first?.key === key ? first.list : undefined)
  const found = list?.clients.length ?? 0
  const isFiltered = filter.prefix !== '' || filter.topic !== ''
  const connected = list ? `${grouped(list.connectedCount)} connected` : ''
  const title = isFiltered && list ? `${grouped(found)} of ${connected}` : connected
  const filtered =
    (name: 'prefix' | 'topic') =>
    ({ currentTarget }: { currentTarget: HTMLInputElement }) =>
      goTo(pathOf('clients', undefined, { ...filter, [name]: currentTarget.value }), 'replace')
  return (
    <Page title={list ? `Clients: ${title}` : 'Clients'}>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Client id begins with
          <input data-filter defaultValue={filter.prefix} onInput={filtered('prefix')} />
        </label>
        <label>
          Gets messages of topic
          <input class="code" defaultValue={filter.topic} onInput={filtered('topic')} />
        </label>
      </form>
      {error !== undefined && <Failure error={error} />}
      {list === undefined ? (
        error === undefined && <Loading />
      ) : found === 0 ? (
        <NoClients isFiltered={isFiltered} />
      ) : (
        <>
          {list.isCut && value !== undefined && (
            <p class="note">These are the first {grouped(found)}. Filter to see others.</p>
          )}
          <ClientTable clients={list.clients} rates={rates.of(value?.clients ?? [], at)} />
        </>
      )}
    </Page>
  )
}

function NoClients({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No connected client is like that." />
  return (
    <Empty title="No MQTT client is connected.">
      <p>Connect one, for example:</p>
      <CopyLine text="sluice sub 'dt/#'" />
    </Empty>
  )
}

function ClientTable({
  clients,
  rates,
}: {
  clients: readonly ListedClient[]
  rates: ReadonlyMap<string, Rates>
}) {
  return (
    <table class="clients">
      <thead>
        <tr>
          <th scope="col">Client</th>
          <th scope="col" class="wide">
            MQTT
          </th>
          <th scope="col" class="wide">
            Principal
          </th>
          <th scope="col" class="wide">
            Address
          </th>
          <th scope="col" class="number wide">
            Connected
          </th>
          <th scope="col" class="number wide">
            Filters
          </th>
          <th scope="col" class="number">
            Waiting
          </th>
          <th scope="col" class="number">
            In/s
          </th>
          <th scope="col" class="number">
            Out/s
          </th>
        </tr>
      </thead>
      <WindowedRows rows={clients} keyOf={({ clientId }) => clientId}>
        {(client) => {
          const { clientId, queued, inFlight } = client
          const perSecond = rates.get(clientId)
          return (
            <>
              <th scope="row">
                <a class="topic" href={pathOf('clients', clientId)}>
                  {visibleText(clientId)}
                </a>
              </th>
              <td class="wide">
                {client.protocolVersion} <span class="kind">{client.transport}</span>
              </td>
              <td class="wide">{visibleText(client.principal ?? 'anonymous')}</td>
              <td class="wide">{client.sourceIp}</td>
              <td class="number wide">{duration(Date.now() - client.connectedSince)}</td>
              <td class="number wide">{grouped(client.subscriptionCount)}</td>
              <td class="number">{grouped(queued + inFlight)}</td>
              <td class="number">{perSecond ? rate(perSecond.in) : ''}</td>
              <td class="number">{perSecond ? rate(perSecond.out) : ''}</td>
            </>
          )
        }}
      </WindowedRows>
    </table>
  )
}
