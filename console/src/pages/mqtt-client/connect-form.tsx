import { useState } from 'preact/hooks'
import { storedCredentials } from '../../api/credentials.ts'
import { fieldsOf } from '../../parts/fields.ts'
import type { ConnectChoice } from './mqtt-connection.ts'

const randomId = (): string => {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1))
  return `console-${number.toString(36)}`
}

const words: Readonly<Record<ConnectChoice['by'], string>> = {
  key: 'the access key of this tab',
  user: 'user and password',
  nobody: 'no sign-in',
}

/** Who the page is to the broker. */
export function ConnectForm({
  isBusy,
  connect,
}: {
  isBusy: boolean
  connect: (choice: ConnectChoice) => void
}) {
  const hasKey = storedCredentials() !== undefined
  const [by, setBy] = useState<ConnectChoice['by']>(hasKey ? 'key' : 'nobody')
  const [clientId] = useState(randomId)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const value = fieldsOf(event.currentTarget as HTMLFormElement)
    connect({
      clientId: value('clientId'),
      by,
      username: value('username'),
      password: value('password'),
    })
  }
  const kinds: readonly ConnectChoice['by'][] = hasKey ? ['key', 'user'] : ['nobody', 'user']
  return (
    <form class="group mqtt-connect" onSubmit={submit}>
      <p>
        The page connects to this engine over WebSocket, as any MQTT client does: its policies hold
        for it, and rules see what it publishes.
      </p>
      <div class="filters">
        <label>
          Client id
          <input name="clientId" class="code" required defaultValue={clientId} />
        </label>
        <label>
          Sign in by
          <select
            value={by}
            onChange={({ currentTarget }) => setBy(currentTarget.value as ConnectChoice['by'])}
          >
            {kinds.map((kind) => (
              <option key={kind} value={kind}>
                {words[kind]}
              </option>
            ))}
          </select>
        </label>
        {by === 'user' && (
          <>
            <label>
              User
              <input name="username" required autocomplete="username" />
            </label>
            <label>
              Password
              <input name="password" type="password" autocomplete="current-password" />
            </label>
          </>
        )}
      </div>
      <div class="buttons">
        <button type="submit" class="primary" disabled={isBusy}>
          Connect
        </button>
      </div>
    </form>
  )
}
