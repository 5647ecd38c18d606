/**
 * How a listener is reached.
 */

export function urlOf(
  { host, tls }: { readonly host: string; readonly tls?: unknown },
  port: number,
): string {
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${tls ? 'https' : 'http'}://${shown.includes(':') ? `[${shown}]` : shown}:${port}`
}
