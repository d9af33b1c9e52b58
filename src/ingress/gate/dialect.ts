import type { FrameFault } from './frames.ts'

/**
 * Another version of MQTT on one connection, as far as the gate has to know it: the client's frames
 * become frames of MQTT 3.1.1 for Aedes, and what Aedes writes becomes what the client understands.
 */
export interface Dialect {
  /** Bytes of a whole frame that the client may send. */
  readonly frameBytesMax: number
  /**
   * Called for each whole frame after the CONNECT as it is read, before it may wait.
   *
   * @returns why nothing after the frames before it is read; they are answered first
   */
  read(bytes: Buffer, offset: number, length: number): FrameFault | undefined
  /** Whether a PUBLISH is sound and passes to Aedes as it is. Has no effect. */
  isPlain(bytes: Buffer, offset: number, length: number): boolean
  /**
   * Takes any other frame, the CONNECT too. A PUBLISH may be given again when it could not pass.
   *
   * @returns the frames that Aedes gets in its place, possibly none; or what is wrong with it
   */
  translate(frame: Buffer): Buffer | FrameFault
  /** What the client gets for what Aedes writes. */
  written(bytes: Buffer): Buffer
  /**
   * The packet that ends the connection, if the client is to get one. Called once.
   *
   * @param hasClientEnded the client sends nothing more, which may be why it ends
   */
  lastPacket(hasClientEnded: boolean): Buffer | undefined
}
