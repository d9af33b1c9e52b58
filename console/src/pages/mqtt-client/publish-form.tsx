import { useState } from 'preact/hooks'
import { fieldsOf } from '../../parts/fields.ts'
import { visibleText } from '../../parts/visible-text.ts'
import type { Publication } from './mqtt-connection.ts'
import { QosField, readQos } from './qos-field.tsx'

/** One `name: value` a line. */
const propertiesIn = (text: string): Publication['userProperties'] =>
  text.split('\n').flatMap((line) => {
    const [name = '', ...value] = line.split(':')
    return name.trim() === '' ? [] : [[name.trim(), value.join(':').trim()] as const]
  })

/** A message, as a device would send it. */
export function PublishForm({
  publish,
}: {
  publish: (publication: Publication) => Promise<boolean>
}) {
  const [told, setTold] = useState<string>()
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const value = fieldsOf(form)
    const data = new FormData(form)
    const payload = data.get('payload')
    setTold(undefined)
    const topic = value('topic')
    const qos = readQos(value('publishQos'))
    const isTaken = await publish({
      topic,
      payload: typeof payload === 'string' ? payload : '',
      qos,
      retain: data.get('retain') !== null,
      contentType: value('contentType'),
      userProperties: propertiesIn(value('userProperties')),
    })
    const how = qos === 0 ? 'Sent' : 'Taken by the engine'
    if (isTaken) setTold(`${how}: ${visibleText(topic)}`)
  }
  return (
    <section class="group" aria-labelledby="publish">
      <h2 id="publish">Publish</h2>
      <form class="mqtt-publish" onSubmit={(event) => void submit(event)}>
        <div class="filters mqtt-line">
          <label>
            Topic
            <input name="topic" class="code" required defaultValue="dt/7/telemetry" />
          </label>
          <QosField name="publishQos" />
          <label class="choice">
            <input type="checkbox" name="retain" />
            Retain
          </label>
        </div>
        <label>
          Payload
          <textarea
            name="payload"
            class="code"
            rows={4}
            spellcheck={false}
            defaultValue={'{"temp": 61.5}'}
          />
        </label>
        <details>
          <summary>Properties of MQTT 5</summary>
          <div class="mqtt-publish">
            <label>
              Content type
              <input name="contentType" placeholder="application/json" />
            </label>
            <label>
              User properties, one name: value a line
              <textarea name="userProperties" class="code" rows={2} spellcheck={false} />
            </label>
          </div>
        </details>
        <div class="buttons">
          <button type="submit" class="primary">
            Publish
          </button>
          {told !== undefined && <p role="status">{told}</p>}
        </div>
      </form>
    </section>
  )
}
