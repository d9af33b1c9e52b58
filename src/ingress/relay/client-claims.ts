/**
 * Sees to it that a client id has one connection in the whole cluster: the last one. A single
 * engine needs none of it.
 */
export interface ClientClaims {
  /**
   * A client is accepted here, so its connection at another node ends.
   *
   * @param versionNumber of its lifecycle events
   * @param isClean it has asked for a new session, so one that another node has for it ends, too
   */
  readonly connected: (clientId: string, isClean: boolean, versionNumber?: number) => void
  /** The last connection of the client here has ended. */
  readonly gone: (clientId: string) => void
  /** Begins to listen to other nodes. Has to be called before `connected`. */
  readonly start: (host: ClaimedClients) => void
}

/** What other nodes ask of the clients here. */
export interface ClaimedClients {
  /** Ends the connection of a client as another one with its id does, [MQTT-3.1.4-3]. */
  readonly takeOver: (clientId: string) => void
  readonly discardSession: (clientId: string) => void
  /** The last version number that the client had at another node. */
  readonly versionTold: (clientId: string, versionNumber: number) => void
}
