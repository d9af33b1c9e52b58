import { useEffect, useState } from 'preact/hooks'
import type { MessageRequest, TriedRule } from '../../api/evaluate.ts'
import { CopyLine, Failure } from '../../parts/status.tsx'
import { keepTest, testFileOf } from './test-file.ts'
import type { KeptTest } from './test-file.ts'

/** Keeps tried messages as the tests of a rule, in a file to download. */
export function KeepTest({
  rule,
  ruleText,
  ruleName,
  message,
  matched,
}: {
  rule: TriedRule | undefined
  ruleText: string
  ruleName: string
  message: MessageRequest | undefined
  matched: boolean | undefined
}) {
  const [tests, setTests] = useState<readonly KeptTest[]>([])
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    setTests([])
    setError(undefined)
  }, [ruleName])
  const keep = async () => {
    if (rule === undefined || message === undefined) return
    setError(undefined)
    try {
      const members = await keepTest(rule, ruleText, message)
      const name = `${message.topic} ${matched ? 'matches' : 'does not match'}`
      setTests((before) => [...before, { id: (before.at(-1)?.id ?? 0) + 1, name, members }])
    } catch (thrown) {
      setError(thrown)
    }
  }
  const fileName = `${ruleName === '' ? 'rule' : ruleName}.test.json`
  return (
    <div class="keep-test">
      <button
        type="button"
        disabled={rule === undefined || message === undefined || matched === undefined}
        onClick={() => void keep()}
      >
        Keep as a test
      </button>
      {error !== undefined && <Failure error={error} />}
      {tests.length > 0 && (
        <>
          <ul>
            {tests.map((test) => (
              <li key={test.id}>
                <input
                  aria-label="Name of the test"
                  value={test.name}
                  onInput={({ currentTarget: { value: name } }) =>
                    setTests(tests.map((each) => (each === test ? { ...each, name } : each)))
                  }
                />
                <button
                  type="button"
                  class="quiet"
                  onClick={() => setTests(tests.filter((each) => each !== test))}
                >
                  Remove
                </button>
              </li>
            ))}
          </ul>
          <button type="button" class="primary" onClick={() => download(fileName, tests)}>
            Download {fileName}
          </button>
          <p class="unit">
            Put it beside the rule, <code>rules/{fileName}</code>; if it is there, add the entries
            to its list. The engine does not write it for you. Run it with{' '}
            <CopyLine text="npx sluice check rules/" />
          </p>
        </>
      )}
    </div>
  )
}

function download(fileName: string, tests: readonly KeptTest[]): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([testFileOf(tests)], { type: 'application/json' }))
  link.download = fileName
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
