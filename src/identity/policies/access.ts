/**
 * Who may connect, and what a connection may do. The ingress asks; it knows no passwords, files or
 * policies, as it knows no engine.
 */
export interface Access {
  /** Decides on a CONNECT. Never rejects: what cannot be decided is a refusal. */
  authenticate(peer: Peer, login: Login): Promise<Admission> | Admission
}

/** What the transport has verified of a connection before its CONNECT. */
export interface Peer {
  readonly transport: 'tcp' | 'tls' | 'websocket'
  readonly sourceIp: string | undefined
  /** Of a client certificate that TLS verified. */
  readonly certificate?:
    | {
        /** As AWS IoT's certificate id: SHA-256 of the DER, 64 hexadecimal digits in lower case. */
        readonly principal: string
        readonly commonName?: string | undefined
      }
    | undefined
  /** Of the key that signed the URL of a WebSocket. */
  readonly accessKeyId?: string | undefined
}

/** What the CONNECT says of its client. */
export interface Login {
  /** Where it gave none, the one that the broker made for it. */
  readonly clientId: string
  readonly username?: string | undefined
  readonly password?: Uint8Array | undefined
  /** Aborted when the client has gone, or sends nothing more: its login need not wait its turn. */
  readonly gone?: AbortSignal | undefined
}

export type Admission =
  | { readonly outcome: 'admitted'; readonly permissions: Permissions }
  /** `CONNACK` 4 for bad credentials, 5 for what is not allowed, 3 for "come again later". */
  | {
      readonly outcome: 'badCredentials' | 'notAuthorized' | 'busy'
      /** For the log: why, without any secret. */
      readonly detail: string
    }

/** What one connection may do, by the policies as they are at the time of asking. */
export interface Permissions {
  /** What `principal()` gives in rules: certificate id, access key id or user; undefined for anonymous. */
  readonly principal: string | undefined
  /** `topic` as it was sent: for Basic Ingest with its prefix. Asked for every message. */
  mayPublish(topic: string): boolean
  /** Asked as well where the message is to be retained. */
  mayRetain(topic: string): boolean
  maySubscribe(filter: string): boolean
  /** Asked for every message that is to be forwarded to the client. */
  mayReceive(topic: string): boolean
}

/** For whoever connects where nobody is asked for his name. */
export const allPermissions: Permissions = Object.freeze({
  principal: undefined,
  mayPublish: () => true,
  mayRetain: () => true,
  maySubscribe: () => true,
  mayReceive: () => true,
})

/** Lets everyone in, to everything. */
export const openAccess: Access = Object.freeze({
  authenticate: () => ({ outcome: 'admitted', permissions: allPermissions }) as const,
})
