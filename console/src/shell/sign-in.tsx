import { useEffect, useState } from 'preact/hooks'
import { storeCredentials } from '../api/credentials.ts'
import { call } from '../api/engine.ts'
import { fieldsOf } from '../parts/fields.ts'
import { textOf } from '../parts/status.tsx'

/**
 * Asks for an access key, and tries it.
 *
 * @param isAgain whether a key was used here that is no longer taken
 */
export function SignIn({ isAgain, onSignedIn }: { isAgain: boolean; onSignedIn: () => void }) {
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    document.title = 'Sign in - Sluice'
  }, [])
  const isSecure = globalThis.isSecureContext
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const value = fieldsOf(event.currentTarget as HTMLFormElement)
    storeCredentials({
      accessKeyId: value('id'),
      secretAccessKey: value('secret'),
      region: value('region'),
    })
    try {
      await call({ path: '/endpoint' })
      onSignedIn()
    } catch (thrown) {
      // A key that may not see this is a key all the same.
      if ((thrown as { code?: string }).code === 'AccessDeniedException') return onSignedIn()
      storeCredentials(undefined)
      setProblem(textOf(thrown))
    }
  }
  return (
    <main class="sign-in">
      <h1>Sign in</h1>
      <p>
        This engine takes signed requests alone. <code>sluice keys create</code> makes an access
        key. Requests are signed in this page; the key stays in this tab and is not sent.
      </p>
      {isAgain && (
        <p class="note" role="status">
          The access key of this tab is no longer taken: it has expired, or has been taken away. The
          page goes on where it was when you have signed in.
        </p>
      )}
      {isSecure ? (
        <form onSubmit={(event) => void submit(event)}>
          <label>
            Access key id
            <input name="id" required autocomplete="username" />
          </label>
          <label>
            Secret access key
            <input name="secret" type="password" required autocomplete="current-password" />
          </label>
          <label>
            Region of the engine
            <input name="region" required defaultValue="us-east-1" pattern="[a-z0-9\-]+" />
          </label>
          {problem !== undefined && (
            <p class="failure" role="alert">
              {problem}
            </p>
          )}
          <button type="submit" class="primary">
            Sign in
          </button>
        </form>
      ) : (
        <p class="failure" role="alert">
          A browser signs on secure pages alone. Open the console over HTTPS (SLUICE_TLS_CERT_FILE
          and SLUICE_TLS_KEY_FILE), or on the machine itself by http://localhost.
        </p>
      )}
    </main>
  )
}
