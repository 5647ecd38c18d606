/**
 * Which carrier takes which request: what was read whole goes by the quick one, the rest by the proxy.
 */
import type { Carrier } from './call.ts'

export function createCarriers(dispatcher: Carrier, proxy: Carrier): Carrier {
  return {
    send: (origin, request, events) =>
      (request.body === undefined ? proxy : dispatcher).send(origin, request, events),
    closeIdle(origin) {
      dispatcher.closeIdle(origin)
      proxy.closeIdle(origin)
    },
    keep(origins) {
      dispatcher.keep(origins)
      proxy.keep(origins)
    },
    close() {
      dispatcher.close()
      proxy.close()
    },
  }
}
