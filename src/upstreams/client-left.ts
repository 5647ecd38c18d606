/** How a client that leaves is noticed by whatever works for it. */

/** The little of an AbortSignal that is needed, without its cost. */
export interface AbortSignalLike {
  readonly aborted: boolean
  onAbort: (() => void) | undefined
}

/** The client went away before there was an answer. */
export class ClientLeft extends Error {
  override readonly name = 'ClientLeft'
}
