/** What a node tells the others of its clients, as JSON. */
interface ToldClients {
  readonly origin: string
  readonly claims: readonly Claim[]
  readonly held: readonly Held[]
}

/** A node has accepted a client. */
export interface Claim {
  readonly clientId: string
  /** Of two claims, the one with the greater number is the later one. */
  readonly order: number
  readonly isClean: boolean
  /** Of the lifecycle events of the client; undefined when there are none. */
  readonly versionNumber?: number | undefined
}

/** A node has a client for so long. */
export interface Held {
  readonly clientId: string
  readonly ageMs: number
}

/** A change that earlier releases must not read has another number. */
const version = 1

interface Form {
  readonly v: number
  readonly o: string
  readonly c: readonly (readonly [
    clientId: string,
    order: number,
    isClean: 0 | 1,
    versionNumber?: number | null,
  ])[]
  readonly h: readonly (readonly [clientId: string, ageMs: number])[]
}

export function encodeClaims({ origin, claims, held }: ToldClients): Uint8Array {
  const form: Form = {
    v: version,
    o: origin,
    c: claims.map(({ clientId, order, isClean, versionNumber }) => [
      clientId,
      order,
      isClean ? 1 : 0,
      versionNumber ?? null,
    ]),
    h: held.map(({ clientId, ageMs }) => [clientId, ageMs]),
  }
  return Buffer.from(JSON.stringify(form))
}

/** @returns undefined when it cannot be read: it is of a later release, or of somebody else */
export function decodeClaims(data: Uint8Array): ToldClients | undefined {
  try {
    const { v, o: origin, c, h } = JSON.parse(Buffer.from(data).toString()) as Form
    if (v !== version || typeof origin !== 'string') return undefined
    const isSound = [...c, ...h].every(
      ([id, ...numbers]) => typeof id === 'string' && numbers.every(isNumber),
    )
    if (!isSound) return undefined
    return {
      origin,
      claims: c.map(([clientId, order, isClean, versionNumber]) => ({
        clientId,
        order,
        isClean: isClean === 1,
        versionNumber: versionNumber ?? undefined,
      })),
      held: h.map(([clientId, ageMs]) => ({ clientId, ageMs })),
    }
  } catch {
    return undefined
  }
}

const isNumber = (value: unknown): boolean => value === null || Number.isFinite(value)
