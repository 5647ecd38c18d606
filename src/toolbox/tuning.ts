/**
 * What the engine is told before it serves.
 */
import { setFlagsFromString } from 'node:v8'

/**
 * V8 notes which places in the code make what lives long, and makes it in old memory from then on. A burst
 * in which requests wait a little teaches it that of everything that belongs to a request; from then on
 * each dead one keeps the next alive, until a full collection: a third of all CPU, and for good.
 */
export function tuneEngine(): void {
  setFlagsFromString('--no-allocation-site-pretenuring')
}
