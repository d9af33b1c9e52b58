import { useState } from 'preact/hooks'
import { ApiError, call } from '../../api/engine.ts'
import { keptDraft, useKeptDraft } from '../../parts/kept-draft.ts'
import { Failure } from '../../parts/status.tsx'
import { parseObject, readShadow, shadowPath, updateFor } from './read-shadows.ts'
import type { JsonObject, ShadowDocument } from './read-shadows.ts'

/** What somebody is writing, and the document that they have begun with. */
interface Draft {
  readonly text: string
  readonly desired: JsonObject
  /** Undefined for a shadow that is not there yet. */
  readonly version: number | undefined
}

const textOf = (desired: JsonObject): string => JSON.stringify(desired, null, 2)

/** Changes what is desired, if the shadow still has the version that was read. */
export function DesiredForm({
  thingName,
  shadowName,
  document,
  saved,
}: {
  thingName: string
  shadowName: string
  document: ShadowDocument | undefined
  saved: (text: string) => void
}) {
  const path = `${shadowPath(thingName)}?name=${encodeURIComponent(shadowName)}`
  const [draft, setDraft] = useState(() => keptDraft(path) as Draft | undefined)
  useKeptDraft(path, draft)
  const [problem, setProblem] = useState<unknown>()
  const desired = document?.state.desired ?? {}
  const version = document?.version
  // A device that only reports does not disturb who desires.
  const isSame = draft !== undefined && textOf(draft.desired) === textOf(desired)
  const isOutdated = draft !== undefined && !isSame && draft.version !== version
  const begun = draft
    ? { ...draft, version: isSame ? version : draft.version }
    : { text: textOf(desired), desired, version }
  const save = async (event: SubmitEvent) => {
    event.preventDefault()
    setProblem(undefined)
    try {
      const update = updateFor(begun.desired, parseObject(begun.text))
      const place = { thingName, shadowName }
      const answer = await saveDesired(place, begun, update)
      setDraft(undefined)
      saved(`Saved as version ${answer.version}.`)
    } catch (thrown) {
      setProblem(wordsOf(thrown))
    }
  }
  return (
    <form class="desired-form" onSubmit={(event) => void save(event)}>
      <label>
        Change what is desired
        <textarea
          class="code"
          rows={10}
          spellcheck={false}
          value={begun.text}
          onInput={({ currentTarget }) => setDraft({ ...begun, text: currentTarget.value })}
        />
      </label>
      {isOutdated && (
        <div class="note" role="status">
          <p>
            The shadow has changed while you were writing: it has version {version ?? 'none'} now,
            and you began with {begun.version ?? 'none'}. What is desired now stands above.
          </p>
          <div class="buttons">
            <button type="button" onClick={() => setDraft({ ...begun, desired, version })}>
              Keep what I wrote
            </button>
            <button type="button" onClick={() => setDraft(undefined)}>
              Begin with what is there
            </button>
          </div>
        </div>
      )}
      {problem !== undefined && <Failure error={problem} />}
      <div class="buttons">
        <button type="submit" class="primary" disabled={draft === undefined}>
          Save
        </button>
        {draft !== undefined && (
          <button type="button" onClick={() => setDraft(undefined)}>
            Discard
          </button>
        )}
      </div>
    </form>
  )
}

const triesMax = 4

/** A device may report between reading and saving: that is no conflict with what is desired. */
async function saveDesired(
  { thingName, shadowName }: { readonly thingName: string; readonly shadowName: string },
  begun: Pick<Draft, 'desired' | 'version'>,
  update: JsonObject,
): Promise<{ readonly version: number }> {
  let { version } = begun
  for (let tries = 1; ; tries++) {
    try {
      return await call<{ readonly version: number }>({
        method: 'POST',
        path: shadowPath(thingName),
        query: { name: shadowName },
        body: { state: { desired: update }, ...(version !== undefined && { version }) },
      })
    } catch (thrown) {
      if (!isConflict(thrown) || tries === triesMax) throw thrown
      const current = await readShadow(thingName, shadowName)
      if (current === 'none' || textOf(current.state.desired ?? {}) !== textOf(begun.desired)) {
        throw thrown
      }
      version = current.version
    }
  }
}

const isConflict = (thrown: unknown): boolean =>
  thrown instanceof ApiError && thrown.code === 'ConflictException'

function wordsOf(thrown: unknown): unknown {
  if (isConflict(thrown)) {
    return new Error(
      'It is not saved: somebody has changed the shadow since you began. Look at what is desired now, then keep yours or begin anew.',
    )
  }
  if (thrown instanceof SyntaxError) return new Error(`This is no JSON object: ${thrown.message}`)
  return thrown
}
