import { useEffect, useRef, useState } from 'preact/hooks'
import { grouped } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { Failure } from '../../parts/status.tsx'
import { visibleText } from '../../parts/visible-text.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { ConnectForm } from './connect-form.tsx'
import { createHistory } from './history.ts'
import { MessageList } from './message-list.tsx'
import './mqtt-client.css'
import { connectMqtt } from './mqtt-connection.ts'
import type { ConnectChoice, MqttConnection, ReceivedMessage } from './mqtt-connection.ts'
import { PublishForm } from './publish-form.tsx'
import { Subscriptions } from './subscriptions.tsx'
import type { SubscriptionState } from './subscriptions.tsx'

/** Messages are drawn so often at most. */
const drawMs = 250

type State =
  | { readonly kind: 'off' | 'connecting' | 'connected' }
  | { readonly kind: 'interrupted' | 'refused'; readonly problem: string }

const titles: Readonly<Record<State['kind'], string>> = {
  off: 'not connected',
  connecting: 'connecting ...',
  connected: 'connected',
  interrupted: 'interrupted',
  refused: 'not connected',
}

/** Subscribes and publishes over MQTT, as a client of the engine's WebSocket. */
export function MqttClientPage({ route: { query } }: { readonly route: Route }) {
  const [state, setState] = useState<State>({ kind: 'off' })
  const [choice, setChoice] = useState<ConnectChoice>()
  const [problem, setProblem] = useState<unknown>()
  const [subscriptions, setSubscriptions] = useState<readonly SubscriptionState[]>([])
  const { history, isPaused, setPaused, ...seen } = useHistory()
  const connection = useRef<MqttConnection>(null)
  const close = () => {
    connection.current?.close()
    connection.current = null
    setSubscriptions([])
    setState({ kind: 'off' })
  }
  useEffect(() => () => connection.current?.close(), [])

  const act = async (run: (open: MqttConnection) => Promise<void>): Promise<boolean> => {
    setProblem(undefined)
    try {
      if (connection.current) await run(connection.current)
      return true
    } catch (thrown) {
      setProblem(thrown)
      return false
    }
  }
  const connect = async (wanted: ConnectChoice) => {
    setProblem(undefined)
    setChoice(wanted)
    setState({ kind: 'connecting' })
    try {
      connection.current = await connectMqtt(wanted, {
        connected: () => setState({ kind: 'connected' }),
        interrupted: (text, goesOn) =>
          setState({ kind: goesOn ? 'interrupted' : 'refused', problem: text }),
        received: seen.receive,
      })
    } catch (thrown) {
      setProblem(thrown)
      setState({ kind: 'off' })
    }
  }
  const subscribe = (filter: string, qos: 0 | 1 | 2) =>
    act(async (open) => {
      await open.subscribe(filter, qos)
      setSubscriptions((before) => added(before, filter, qos))
      goTo(pathOf('mqtt-client', undefined, { topic: filter }), 'replace')
    })
  const unsubscribe = (filter: string) =>
    act(async (open) => {
      await open.unsubscribe(filter)
      setSubscriptions((before) => before.filter((one) => one.filter !== filter))
    })
  const isOpen = state.kind === 'connected' || state.kind === 'interrupted'
  return (
    <Page
      title={`MQTT client: ${titles[state.kind]}`}
      action={
        isOpen && (
          <button type="button" onClick={close}>
            Disconnect
          </button>
        )
      }
    >
      {'problem' in state && <Failure error={new Error(state.problem)} />}
      {problem !== undefined && <Failure error={problem} />}
      {!isOpen && (
        <ConnectForm
          isBusy={state.kind === 'connecting'}
          connect={(wanted) => void connect(wanted)}
        />
      )}
      {isOpen && choice && (
        <p class="kind">
          Client id <code>{visibleText(choice.clientId)}</code>, MQTT 5. It is connected until you
          leave this page.
        </p>
      )}
      {isOpen && (
        <div class="mqtt">
          <Subscriptions
            first={query.get('topic') ?? ''}
            subscriptions={subscriptions}
            subscribe={subscribe}
            unsubscribe={(filter) => void unsubscribe(filter)}
          />
          <PublishForm publish={(publication) => act((open) => open.publish(publication))} />
        </div>
      )}
      {(isOpen || history.count() > 0) && (
        <Received {...{ history, isPaused, setPaused, subscriptions }} clear={seen.clear} />
      )}
    </Page>
  )
}

function Received({
  history,
  isPaused,
  setPaused,
  clear,
  subscriptions,
}: Pick<ReturnType<typeof useHistory>, 'history' | 'isPaused' | 'setPaused' | 'clear'> & {
  readonly subscriptions: readonly SubscriptionState[]
}) {
  return (
    <section aria-labelledby="received">
      <header class="received-head">
        <h2 id="received">Messages, {grouped(history.count())}</h2>
        <div class="buttons">
          <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
            {isPaused ? 'Go on' : 'Pause'}
          </button>
          <button type="button" onClick={clear}>
            Clear
          </button>
        </div>
      </header>
      <MessageList
        messages={history.list()}
        count={history.count()}
        subscriptions={subscriptions}
      />
    </section>
  )
}

/** A colour stays with its filter. */
function added(before: readonly SubscriptionState[], filter: string, qos: number) {
  const others = before.filter((one) => one.filter !== filter)
  const taken = new Set(others.map(({ colour }) => colour))
  const colour = [1, 2, 3, 4].find((one) => !taken.has(one)) ?? (others.length % 4) + 1
  return [...others, { filter, qos, colour }]
}

/** What has come. While it is paused, messages are kept and not drawn. */
function useHistory() {
  const [history] = useState(createHistory)
  const [isPaused, setPaused] = useState(false)
  const [drawn, setDrawn] = useState({ list: history.list(), count: 0 })
  const timer = useRef<number>(null)
  const draw = () => setDrawn({ list: history.list(), count: history.count() })
  useEffect(() => {
    if (!isPaused) draw()
  }, [isPaused])
  useEffect(() => () => clearTimeout(timer.current ?? undefined), [])
  const paused = useRef(isPaused)
  paused.current = isPaused
  return {
    history: { list: () => drawn.list, count: () => drawn.count },
    isPaused,
    setPaused,
    receive: (message: ReceivedMessage) => {
      history.add(message)
      timer.current ??= window.setTimeout(() => {
        timer.current = null
        if (!paused.current) draw()
      }, drawMs)
    },
    clear: () => {
      history.clear()
      draw()
    },
  }
}
