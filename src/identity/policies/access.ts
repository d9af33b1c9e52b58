/**
 * Decides who may connect, and what a connection may do. The ingress calls it and knows no
 * passwords, files or policies, just as it does not know the engine.
 */
export interface Access {
  /** Decides on a CONNECT. Never rejects: an error is a refusal. */
  authenticate(peer: Peer, login: Login): Promise<Admission> | Admission
}

/** What the transport has verified of a connection before its CONNECT. */
export interface Peer {
  readonly transport: 'tcp' | 'tls' | 'websocket'
  readonly sourceIp: string | undefined
  /** The client certificate, if TLS verified one. */
  readonly certificate?:
    | {
        /** AWS IoT's certificate id: SHA-256 of the DER, 64 lower-case hexadecimal digits. */
        readonly principal: string
        readonly commonName?: string | undefined
      }
    | undefined
  /** The key that signed the URL of a WebSocket. */
  readonly accessKeyId?: string | undefined
}

/** The identity that a CONNECT claims. */
export interface Login {
  /** The client id; if the client gave none, the one that the broker generated. */
  readonly clientId: string
  readonly username?: string | undefined
  readonly password?: Uint8Array | undefined
  /** Aborted when the client has gone, or sends nothing more: its login need not wait its turn. */
  readonly gone?: AbortSignal | undefined
}

export type Admission =
  | { readonly outcome: 'admitted'; readonly permissions: Permissions }
  /**
   * CONNACK 4 for bad credentials, 5 for what is not allowed, 3 for a client to try again later.
   */
  | {
      readonly outcome: 'badCredentials' | 'notAuthorized' | 'busy'
      /** The reason, for the log; it contains no secret. */
      readonly detail: string
    }

/** What one connection may do, by the policies that hold when a method is called. */
export interface Permissions {
  /** `principal()` of rules: certificate id, access key id or user; undefined if anonymous. */
  readonly principal: string | undefined
  /** @param topic as it was sent: for Basic Ingest with its prefix. Called for every message. */
  mayPublish(topic: string): boolean
  /** Called as well for a message with the retain flag. */
  mayRetain(topic: string): boolean
  maySubscribe(filter: string): boolean
  /** Called for every message that is forwarded to the client. */
  mayReceive(topic: string): boolean
}

/** The permissions of every client when no access is configured. */
export const allPermissions: Permissions = Object.freeze({
  principal: undefined,
  mayPublish: () => true,
  mayRetain: () => true,
  maySubscribe: () => true,
  mayReceive: () => true,
})

/** Admits every client and allows everything. */
export const openAccess: Access = Object.freeze({
  authenticate: () => ({ outcome: 'admitted', permissions: allPermissions }) as const,
})
