import type { StateView } from '../cluster/state/cluster-state.ts'
import type { SecretSource } from '../storage/reloaded-file.ts'

/** The kinds of the entries in the state of a cluster. */
export const secretKinds = Object.freeze({ password: 'password', accessKey: 'key' })

/**
 * The users of a cluster, one entry for each with the hash of its password, as the text that a
 * password file would have.
 *
 * @param view the entries of the kind `password`
 */
export function createSharedPasswords(view: StateView, place: string): SecretSource {
  return sourceOf(view, `the passwords of ${place}`, (lines) =>
    lines.map(([user, hash]) => `${user}:${hash}\n`).join(''),
  )
}

/**
 * The access keys of a cluster, one entry for each, as the text that a credentials file would have.
 *
 * @param view the entries of the kind `key`
 */
export function createSharedAccessKeys(view: StateView, place: string): SecretSource {
  return sourceOf(view, `the access keys of ${place}`, (entries) => {
    const keys = entries.map(([, text]) => text)
    return `{"accessKeys": [${keys.join(',')}]}`
  })
}

type NamedText = readonly [name: string, text: string]

function sourceOf(
  view: StateView,
  place: string,
  textOf: (entries: readonly NamedText[]) => string,
): SecretSource {
  const versionNow = () => String(view.version)
  return {
    place,
    look: async () => versionNow(),
    async read() {
      const entries = view.names().map((name): NamedText => {
        return [name, view.get(name)?.value.toString() ?? '']
      })
      return { version: versionNow(), text: textOf(entries) }
    },
    onChange: (listener) => view.onChange(listener),
  }
}
