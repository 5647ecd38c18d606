/**
 * Opens a server at an address.
 */
import type { AddressInfo, Server } from 'node:net'

export interface Address {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  /** Connections that may wait to be taken. */
  readonly backlog?: number
}

/** @returns The port. @throws Error, as a rejection, when the address cannot be had. */
export function listenAt(server: Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}
