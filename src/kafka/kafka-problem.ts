/** Why a call to a cluster failed, with a code of the table of failures. */
export class KafkaProblem extends Error {
  override readonly name = 'KafkaProblem'
  readonly code: string

  /** @param code Kafka's name of an error, or one of Sluice's own: `SaslFailed` */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
