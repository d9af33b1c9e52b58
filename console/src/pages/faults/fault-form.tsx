import { useState } from 'preact/hooks'
import { fieldsOf } from '../../parts/fields.ts'
import { effects, wordsOf } from './fault-words.ts'
import type { EffectKind, FaultRule } from './fault-words.ts'

const entryCodes = ['ProvisionedThroughputExceededException', 'InternalFailure']
const errorCodes = [
  'AccessDeniedException',
  'ResourceNotFoundException',
  'LimitExceededException',
  'InternalFailure',
  'ExpiredTokenException',
]
const operations = ['Put*', 'PutRecords', 'PutRecord', 'GetRecords', 'ListShards', 'AssumeRole']

/** A form for one fault rule, which says in a sentence what the rule will do. */
export function FaultForm({ add }: { add: (rule: FaultRule) => Promise<boolean> }) {
  const [rule, setRule] = useState<FaultRule>({
    effect: { kind: 'failEntries', code: entryCodes[0] ?? '' },
  })
  const { kind } = rule.effect
  const read = (event: Event) => setRule(ruleIn(event.currentTarget as HTMLFormElement))
  const submitted = (event: Event) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    void add(ruleIn(form))
  }
  return (
    <form class="fault-form" aria-label="New fault" onInput={read} onSubmit={submitted}>
      <label class="wide-field">
        What happens
        <select name="kind">
          {effects.map(({ kind: name, title }) => (
            <option key={name} value={name} selected={name === kind}>
              {title}
            </option>
          ))}
        </select>
        <span>{effects.find(({ kind: name }) => name === kind)?.explanation}</span>
      </label>
      <EffectFields kind={kind} />
      <label>
        Operation
        <input name="operation" list="fault-operations" placeholder="every one" />
        <datalist id="fault-operations">
          {operations.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </label>
      <label>
        Stream
        <input name="streamName" placeholder="every one" />
      </label>
      <label>
        Partition key
        <input name="partitionKey" placeholder="every one" class="code" />
      </label>
      <label>
        Shard
        <input name="shardId" placeholder="every one" class="code" />
      </label>
      <label>
        How often
        <input name="times" type="number" min={1} placeholder="without end" />
      </label>
      <label>
        Let pass first
        <input name="after" type="number" min={0} placeholder="0" />
      </label>
      <label>
        Probability in %
        <input name="probability" type="number" min={0} max={100} step="any" placeholder="100" />
      </label>
      <p class="fault-words" aria-live="polite">
        {wordsOf(rule)}
      </p>
      <div class="buttons">
        <button type="submit" class="primary">
          Add the fault
        </button>
      </div>
    </form>
  )
}

function EffectFields({ kind }: { kind: EffectKind }) {
  if (kind === 'failEntries') {
    return (
      <label>
        Error code
        <select name="code" key={kind}>
          {entryCodes.map((code) => (
            <option key={code}>{code}</option>
          ))}
        </select>
      </label>
    )
  }
  if (kind === 'error') {
    return (
      <>
        <label>
          Error code
          <input name="code" key={kind} list="fault-codes" required defaultValue={errorCodes[0]} />
          <datalist id="fault-codes">
            {errorCodes.map((code) => (
              <option key={code} value={code} />
            ))}
          </datalist>
        </label>
        <label>
          Message
          <input name="message" placeholder="the usual one" />
        </label>
      </>
    )
  }
  if (kind === 'html') {
    return (
      <label>
        HTTP status
        <input name="status" type="number" min={400} max={599} required defaultValue="503" />
      </label>
    )
  }
  if (kind === 'delay') {
    return (
      <label>
        Delay in ms
        <input name="delayMs" type="number" min={0} max={600000} required defaultValue="2000" />
      </label>
    )
  }
  return null
}

/** What is empty is left out; the engine says what is wrong with the rest. */
function ruleIn(form: HTMLFormElement): FaultRule {
  const value = fieldsOf(form)
  const text = (name: string) => (value(name) === '' ? {} : { [name]: value(name) })
  const number = (name: string) => (value(name) === '' ? {} : { [name]: Number(value(name)) })
  const percent = value('probability')
  return {
    ...text('operation'),
    ...text('streamName'),
    ...text('partitionKey'),
    ...text('shardId'),
    ...number('times'),
    ...number('after'),
    ...(percent === '' ? {} : { probability: Number(percent) / 100 }),
    effect: {
      kind: value('kind') as EffectKind,
      ...text('code'),
      ...text('message'),
      ...number('status'),
      ...number('delayMs'),
    },
  }
}
