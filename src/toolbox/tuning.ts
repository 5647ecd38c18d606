/**
 * What the engine is told before it serves.
 */
import { setFlagsFromString } from 'node:v8'

export function tuneEngine(): void {
  /*
   * V8 notes which places in the code make what lives long, and makes it in old memory from then on. A burst
   * in which requests wait a little teaches it that of everything that belongs to a request; from then on
   * each dead one keeps the next alive, until a full collection: a third of all CPU, and for good.
   */
  setFlagsFromString('--no-allocation-site-pretenuring')
  /*
   * Once V8 has tidied up after a process that idled, it lets the heap grow by no more than a third from one
   * full collection to the next. What is alive is little, and the bodies of requests count with it: after a
   * quiet minute, requests of 64 KB meant a full collection every tenth of a second, and twice the CPU.
   */
  setFlagsFromString('--heap-growing-percent=200')
}
