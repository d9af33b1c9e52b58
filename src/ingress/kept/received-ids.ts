/**
 * The QoS 2 messages of a session whose handshake is under way, so that one that is sent again,
 * also on a later connection, is ingested once: [MQTT-4.3.3-2]. Aedes has a store of its own, but
 * asks it only after the hook that ingests.
 */
export interface ReceivedIds {
  /**
   * Calls `ingest` for the first PUBLISH of this packet id and gives its outcome to the first and
   * to every later one. If it fails, the next PUBLISH counts as the first again.
   */
  ingestOnce(packetId: number, ingest: () => Promise<void>): Promise<void>
  /** PUBREL came: the client may use the packet id for another message. */
  release(packetId: number): void
}

export function createReceivedIds(): ReceivedIds & { readonly size: number } {
  // At most 65,535 by their type; Aedes ends a connection with more than 1,000 open handshakes.
  const outcomes = new Map<number, Promise<void>>()
  return {
    get size() {
      return outcomes.size
    },
    ingestOnce(packetId, ingest) {
      const known = outcomes.get(packetId)
      if (known !== undefined) return known
      const outcome = ingest()
      outcomes.set(packetId, outcome)
      outcome.catch(() => {
        if (outcomes.get(packetId) === outcome) outcomes.delete(packetId)
      })
      return outcome
    },
    release(packetId) {
      outcomes.delete(packetId)
    },
  }
}
