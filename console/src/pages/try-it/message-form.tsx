import { bytes as sizeOf } from '../../parts/figures.ts'
import { unseenIn } from './unseen.ts'
import { utf8Of } from './bytes.ts'
import { bytesOf, inForm, jsonProblem, payloadForms } from './message.ts'
import type { TypedMessage } from './message.ts'

/** The message to try. What is edited is no longer the message that came. */
export function MessageForm({
  message,
  onChange,
}: {
  message: TypedMessage
  onChange: (message: TypedMessage) => void
}) {
  const edit = (change: Partial<TypedMessage>) =>
    onChange({ ...message, came: undefined, ...change })
  const { topic, form, payload } = message
  const { bytes, problem } = bytesOf(message)
  const isBinary = bytes !== undefined && utf8Of(bytes) === undefined
  const fault = problem ?? (form === 'JSON' ? jsonProblem(payload) : undefined)
  const unseen = unseenIn(topic) ?? unseenIn(payload)
  return (
    <>
      <label>
        Topic
        <input
          class="code"
          value={topic}
          spellcheck={false}
          onInput={({ currentTarget }) => edit({ topic: currentTarget.value })}
        />
      </label>
      <label>
        Payload
        <textarea
          class="code"
          rows={Math.max(3, Math.min(12, payload.split('\n', 13).length + 1))}
          value={payload}
          spellcheck={false}
          aria-invalid={fault !== undefined}
          onInput={({ currentTarget }) => edit({ payload: currentTarget.value })}
        />
      </label>
      <div class="payload-foot">
        <label class="inline">
          written as
          <select
            value={form}
            onChange={({ currentTarget }) =>
              onChange(inForm(message, currentTarget.value as TypedMessage['form']))
            }
          >
            {payloadForms.map((each) => (
              <option key={each} disabled={isBinary && (each === 'JSON' || each === 'Text')}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <span class="unit">{bytes ? sizeOf(bytes.length) : ''}</span>
      </div>
      {fault !== undefined && <p class="field-note">{fault}</p>}
      {unseen !== undefined && <p class="field-note">{unseen}</p>}
      <Further message={message} edit={edit} />
    </>
  )
}

function Further({
  message: { clientId, qos, contentType, userProperties },
  edit,
}: {
  message: TypedMessage
  edit: (change: Partial<TypedMessage>) => void
}) {
  const further =
    [clientId, contentType].filter((text) => text !== '').length + userProperties.length
  return (
    <details class="further">
      <summary>
        Client, QoS and MQTT 5{further > 0 && <span class="unit"> {further} given</span>}
      </summary>
      <label>
        Client id
        <input
          value={clientId}
          spellcheck={false}
          onInput={({ currentTarget }) => edit({ clientId: currentTarget.value })}
        />
      </label>
      <label>
        QoS
        <select
          value={String(qos)}
          onChange={({ currentTarget }) =>
            edit({ qos: Number(currentTarget.value) as TypedMessage['qos'] })
          }
        >
          <option>0</option>
          <option>1</option>
          <option>2</option>
        </select>
      </label>
      <label>
        Content type
        <input
          value={contentType}
          placeholder="application/json"
          spellcheck={false}
          onInput={({ currentTarget }) => edit({ contentType: currentTarget.value })}
        />
      </label>
      <label>
        User properties, one <code>name: value</code> a line
        <textarea
          class="code"
          rows={2}
          defaultValue={userProperties.map((pair) => pair.join(': ')).join('\n')}
          spellcheck={false}
          onInput={({ currentTarget }) =>
            edit({ userProperties: propertiesIn(currentTarget.value) })
          }
        />
      </label>
    </details>
  )
}

function propertiesIn(text: string): TypedMessage['userProperties'] {
  return text.split('\n').flatMap((line) => {
    const at = line.indexOf(':')
    if (at <= 0) return []
    return [[line.slice(0, at).trim(), line.slice(at + 1).trim()] as const]
  })
}
