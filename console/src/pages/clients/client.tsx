import { useState } from 'preact/hooks'
import { ApiError, call } from '../../api/engine.ts'
import { dayTime, duration, grouped, rate } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { pathOf } from '../../shell/route.ts'
import { createRates, readClient } from './read-clients.ts'
import type { OneClient, Rates } from './read-clients.ts'

const everyMs = 2_000

/** One client: who it is, what it is subscribed to, and how to end its connection. */
export function Client({ clientId }: { clientId: string }) {
  const { value, error, at, reload } = useLoaded(
    (signal) => readClient(clientId, signal),
    clientId,
    everyMs,
  )
  const [rates] = useState(createRates)
  const [isAsking, setAsking] = useState(false)
  const isGone = error instanceof ApiError && error.code === 'ResourceNotFoundException'
  const isThere = value !== undefined && !isGone
  return (
    <Page
      title={`Client ${visibleText(clientId)}${isGone ? ': not connected' : ''}`}
      action={
        isThere && (
          <button type="button" class="danger" onClick={() => setAsking(!isAsking)}>
            Disconnect ...
          </button>
        )
      }
    >
      <p>
        <a href={pathOf('clients')}>All clients</a>
      </p>
      {error !== undefined && !isGone && <Failure error={error} />}
      {isGone && <Empty title="The client is not connected. This page goes on when it is." />}
      {value === undefined && error === undefined && <Loading />}
      {isThere && isAsking && (
        <Disconnect client={value} close={() => setAsking(false)} done={reload} />
      )}
      {isThere && (
        <>
          <Facts client={value} rates={rates.of([value], at).get(clientId)} />
          <Subscriptions client={value} />
        </>
      )}
    </Page>
  )
}

const moved = (count: number, perSecond: number | undefined) =>
  `${grouped(count)}${perSecond === undefined ? '' : `, ${rate(perSecond)} a second`}`

function Facts({ client, rates }: { client: OneClient; rates: Rates | undefined }) {
  const { sessionExpiry, keepAliveDuration } = client
  const facts: readonly (readonly [string, string])[] = [
    ['Protocol', `MQTT ${client.protocolVersion} over ${client.transport}`],
    ['Principal', client.principal ?? 'anonymous'],
    ['Address', client.sourceIp ?? 'not known'],
    ['Connected', `since ${dayTime(client.connectedSince)}`],
    ['Keep-alive', keepAliveDuration === 0 ? 'none' : `${keepAliveDuration} s`],
    [
      'Session',
      `${client.cleanStart ? 'asked to begin anew' : 'asked to go on'}, ${
        sessionExpiry === 0
          ? 'ends with the connection'
          : `waits ${duration(sessionExpiry * 1_000)} for the client`
      }`,
    ],
    ['Waiting', `${grouped(client.queued)} queued, ${grouped(client.inFlight)} not acknowledged`],
    ['Messages in', moved(client.messagesIn, rates?.in)],
    ['Messages out', moved(client.messagesOut, rates?.out)],
  ]
  return (
    <dl class="client-facts">
      {facts.map(([name, text]) => (
        <>
          <dt key={name}>{name}</dt>
          <dd key={`${name} text`}>{visibleText(text)}</dd>
        </>
      ))}
    </dl>
  )
}

function Subscriptions({ client: { subscriptions } }: { client: OneClient }) {
  if (subscriptions.length === 0) return <Empty title="It is subscribed to nothing." />
  return (
    <section aria-labelledby="subscriptions">
      <h2 id="subscriptions">Subscriptions, {grouped(subscriptions.length)}</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Topic filter</th>
            <th scope="col">Group</th>
            <th scope="col" class="number">
              QoS
            </th>
          </tr>
        </thead>
        <tbody>
          {subscriptions.map(({ topicFilter, qos, shareName }) => (
            <tr key={topicFilter}>
              <th scope="row" class="topic">
                {visibleText(topicFilter)}
              </th>
              <td>{visibleText(shareName ?? '')}</td>
              <td class="number">{qos}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

const counted = (count: number, noun: string): string =>
  `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`

/** Says what ends, before it does. */
function Disconnect({
  client,
  close,
  done,
}: {
  client: OneClient
  close: () => void
  done: () => void
}) {
  const [dropsSession, setDropsSession] = useState(false)
  const [keepsWill, setKeepsWill] = useState(true)
  const [problem, setProblem] = useState<unknown>()
  const { clientId, subscriptionCount, queued, inFlight, sessionExpiry } = client
  const held = `${counted(subscriptionCount, 'subscription')} and ${counted(queued + inFlight, 'waiting message')}`
  const lost = sessionExpiry === 0 || dropsSession
  const disconnect = async () => {
    try {
      await call({
        method: 'DELETE',
        path: `/connections/${encodeURIComponent(clientId)}`,
        query: {
          cleanSession: dropsSession ? 'true' : undefined,
          preventWillMessage: keepsWill ? undefined : 'true',
        },
      })
      close()
      done()
    } catch (thrown) {
      setProblem(thrown)
    }
  }
  return (
    <div class="review disconnect" role="group" aria-label="Disconnect the client">
      <p>
        The connection of <code>{visibleText(clientId)}</code> ends.{' '}
        {lost
          ? `Its ${held} are lost.`
          : `Its ${held} wait ${duration(sessionExpiry * 1_000)} for it.`}{' '}
        It may connect again at once.
      </p>
      {sessionExpiry > 0 && (
        <label class="choice">
          <input type="checkbox" onChange={() => setDropsSession(!dropsSession)} />
          Delete its session as well
        </label>
      )}
      <label class="choice">
        <input type="checkbox" checked={keepsWill} onChange={() => setKeepsWill(!keepsWill)} />
        Publish its will, if it has one
      </label>
      {problem !== undefined && <Failure error={problem} />}
      <div class="buttons">
        <button type="button" class="danger" onClick={() => void disconnect()}>
          Disconnect {visibleText(clientId)}
        </button>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </div>
  )
}
