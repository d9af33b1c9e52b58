/**
 * Requests of one node to another one, for what only the owner of a lane may do. Nothing of a
 * message's path goes this way.
 */

/** What is asked of a node: JSON. */
export type NodeRequest =
  | { readonly ask: 'replay'; readonly how: 'rule' | 'asIs'; readonly ids: readonly string[] }
  | { readonly ask: 'delete'; readonly ids: readonly string[] }
  | { readonly ask: 'deliveries' }

/** What it answers: JSON, or why it could not do it. */
export type NodeAnswer =
  | { readonly kind: 'answer'; readonly value: unknown }
  | { readonly kind: 'problem'; readonly code: string; readonly message: string }

export interface NodeRequests {
  /**
   * @param node its name
   * @param waitMs for the answer
   * @throws NoAnswerError (rejects): whether the request was carried out is not known, unless
   *   `isUnheard`
   */
  ask(node: string, request: NodeRequest, waitMs: number): Promise<NodeAnswer>
  /**
   * Answers requests to a node.
   *
   * @param answer never rejects
   * @returns stops it
   */
  serve(node: string, answer: (request: NodeRequest) => Promise<NodeAnswer>): () => void
}

/** The node has not answered. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError'
  /** Nobody has heard the request: nothing of it was done. */
  readonly isUnheard: boolean

  constructor(message: string, options: ErrorOptions & { readonly isUnheard: boolean }) {
    super(message, options)
    this.isUnheard = options.isUnheard
  }
}
