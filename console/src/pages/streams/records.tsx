import { useState } from 'preact/hooks'
import { ApiError, call } from '../../api/engine.ts'
import { fieldsOf } from '../../parts/fields.ts'
import { bytes, clockTime, dayTime, grouped } from '../../parts/figures.ts'
import { Payload } from '../../parts/payload.tsx'
import { CopyLine, Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { StreamDescription } from './stream-types.ts'

interface StreamRecord {
  readonly shardId: string
  readonly sequenceNumber: string
  readonly partitionKey: string
  readonly arrivedAt: string
  readonly bytes: number
  readonly dataBase64?: string
}

interface RecordPage {
  readonly records: readonly StreamRecord[]
  readonly nextToken?: string
  readonly isDataLeftOut: boolean
}

const positions = [
  ['LATEST', 'the newest'],
  ['TRIM_HORIZON', 'the oldest'],
  ['AT_TIMESTAMP', 'a time'],
  ['AFTER_SEQUENCE_NUMBER', 'after a sequence number'],
] as const

const everyMs = 2_000
const pageSize = 50

/** Records from a position, decoded. The position, the shard and the page are in the URL. */
export function Records({
  stream,
  query,
  streamArn,
}: {
  stream: StreamDescription
  query: URLSearchParams
  streamArn: string | undefined
}) {
  const position = query.get('from') ?? 'LATEST'
  const shardId = query.get('shard') ?? undefined
  const at = query.get('at') ?? ''
  const sequenceNumber = query.get('after') ?? undefined
  const nextToken = query.get('page') ?? undefined
  const isIncomplete =
    (position === 'AT_TIMESTAMP' && Number.isNaN(Date.parse(at))) ||
    (position === 'AFTER_SEQUENCE_NUMBER' && sequenceNumber === undefined)
  const wanted = {
    streamArn,
    shardId,
    position,
    timestampMs: position === 'AT_TIMESTAMP' ? String(Date.parse(at)) : undefined,
    sequenceNumber: position === 'AFTER_SEQUENCE_NUMBER' ? sequenceNumber : undefined,
    maxResults: String(pageSize),
    nextToken,
  }
  const isFollowing = position === 'LATEST' && nextToken === undefined
  const { value, error } = useLoaded(
    (signal) => (isIncomplete ? nothing() : readPage(stream.streamName, wanted, signal)),
    JSON.stringify([stream.streamName, wanted]),
    isFollowing ? everyMs : undefined,
  )
  const [open, setOpen] = useState<string>()
  const records = value?.records ?? []
  // What comes last is read first where it comes all the time.
  const shown = isFollowing ? records.toReversed() : records
  const go = (more: Record<string, string>, how: 'push' | 'replace') => {
    const state = {
      streamArn: streamArn ?? '',
      from: position === 'LATEST' ? '' : position,
      shard: shardId ?? '',
      at,
      after: sequenceNumber ?? '',
      ...more,
    }
    goTo(pathOf('streams', stream.streamName, state), how)
  }
  return (
    <>
      <PositionForm
        stream={stream}
        given={{ position, shardId, at, sequenceNumber }}
        changed={(state) => go({ ...state, page: '' }, 'replace')}
      />
      {error !== undefined && <Failure error={error} />}
      {value?.isDataLeftOut === true && (
        <p class="note">
          This access key may not read payloads (<code>sluice:ReadPayloads</code>): the data is left
          out.
        </p>
      )}
      {isIncomplete ? (
        <p class="soft">Say from where to read.</p>
      ) : value === undefined ? (
        error === undefined && <Loading />
      ) : records.length === 0 ? (
        <NoRecords streamName={stream.streamName} />
      ) : (
        <ol class="messages records">
          {shown.map((record) => (
            <RecordRow
              key={`${record.shardId} ${record.sequenceNumber}`}
              record={record}
              isOpen={open === record.sequenceNumber}
              onToggle={() =>
                setOpen(open === record.sequenceNumber ? undefined : record.sequenceNumber)
              }
            />
          ))}
        </ol>
      )}
      <div class="buttons">
        {nextToken !== undefined && (
          <button type="button" onClick={() => go({ page: '' }, 'push')}>
            First page
          </button>
        )}
        {value?.nextToken !== undefined && (
          <button type="button" onClick={() => go({ page: value.nextToken ?? '' }, 'push')}>
            Next {grouped(pageSize)}
          </button>
        )}
      </div>
    </>
  )
}

function NoRecords({ streamName }: { streamName: string }) {
  return (
    <Empty title="There is no record here.">
      <p>
        <CopyLine
          text={`aws kinesis put-record --endpoint-url http://127.0.0.1:4567 --stream-name ${streamName} --partition-key 7 --data aGVsbG8=`}
        />
      </p>
    </Empty>
  )
}

const nothing = (): Promise<RecordPage> => Promise.resolve({ records: [], isDataLeftOut: false })

/** Without the right to read payloads the records come without their data. */
async function readPage(
  streamName: string,
  query: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<RecordPage> {
  const path = `/v1/streams/${encodeURIComponent(streamName)}/records`
  const read = (more: Readonly<Record<string, string>>) =>
    call<Omit<RecordPage, 'isDataLeftOut'>>({ path, query: { ...query, ...more }, signal })
  try {
    return { ...(await read({ payloads: 'true' })), isDataLeftOut: false }
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.code !== 'AccessDeniedException') throw thrown
    return { ...(await read({})), isDataLeftOut: true }
  }
}

interface Position {
  readonly position: string
  readonly shardId: string | undefined
  readonly at: string
  readonly sequenceNumber: string | undefined
}

function PositionForm({
  stream,
  given: { position, shardId, at, sequenceNumber },
  changed,
}: {
  stream: StreamDescription
  given: Position
  changed: (state: Record<string, string>) => void
}) {
  const apply = (event: Event) => {
    event.preventDefault()
    const value = fieldsOf(event.currentTarget as HTMLFormElement)
    const from = value('from')
    changed({
      from: from === 'LATEST' ? '' : from,
      shard: value('shard'),
      at: value('at'),
      after: value('after'),
    })
  }
  return (
    <form class="filters" aria-label="Which records" onSubmit={apply} onChange={apply}>
      <label>
        Records from
        <select name="from" data-filter>
          {positions.map(([name, words]) => (
            <option key={name} value={name} selected={name === position}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {position === 'AT_TIMESTAMP' && (
        <label>
          Time, yours
          <input name="at" type="datetime-local" step="1" defaultValue={at} />
        </label>
      )}
      {position === 'AFTER_SEQUENCE_NUMBER' && (
        <label>
          Sequence number
          <input
            name="after"
            class="code"
            inputMode="numeric"
            defaultValue={sequenceNumber ?? ''}
          />
        </label>
      )}
      <label>
        Shard
        <select name="shard">
          <option value="">all shards</option>
          {stream.shards.map(({ shardId: id }) => (
            <option key={id} value={id} selected={id === shardId}>
              {id}
            </option>
          ))}
        </select>
      </label>
    </form>
  )
}

function RecordRow({
  record,
  isOpen,
  onToggle,
}: {
  record: StreamRecord
  isOpen: boolean
  onToggle: () => void
}) {
  const { shardId, sequenceNumber, partitionKey, arrivedAt, dataBase64 } = record
  return (
    <li class={isOpen ? 'is-open' : ''}>
      <button type="button" class="message" aria-expanded={isOpen} onClick={onToggle}>
        <time dateTime={arrivedAt}>{clockTime(arrivedAt)}</time>
        <span class="topic">{visibleText(partitionKey)}</span>
        <span class="client">{shardId}</span>
        <span class="number">{bytes(record.bytes)}</span>
      </button>
      {isOpen && (
        <div class="letter">
          <dl>
            <dt>Arrived</dt>
            <dd>{dayTime(Date.parse(arrivedAt))}</dd>
            <dt>Sequence</dt>
            <dd>
              <code>{sequenceNumber}</code> in <code>{shardId}</code>
            </dd>
            <dt>Key</dt>
            <dd>
              <code>{visibleText(partitionKey)}</code>
            </dd>
          </dl>
          {dataBase64 === undefined ? (
            <p class="soft">The data is left out.</p>
          ) : (
            <Payload base64={dataBase64} total={record.bytes} />
          )}
        </div>
      )}
    </li>
  )
}
