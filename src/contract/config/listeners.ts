/** `listen` and `admin`: where callers and operators reach the gateway. */
import { DURATION_PATTERN } from '../units.ts'
import { duration, port, section, string, strings } from './words.ts'

export const listen = section('The public listener', {
  host: { ...string, default: '127.0.0.1' },
  port: { ...port, default: 8080 },
  drain: {
    ...duration('30s'),
    pattern: DURATION_PATTERN,
    description: 'How long running requests may finish at SIGTERM',
  },
  trustedProxies: {
    ...strings,
    description: 'Addresses or CIDRs of proxies that are believed about who their client is',
    default: [],
  },
  tls: section(
    'TLS; the files are watched',
    {
      certFile: string,
      keyFile: string,
      clientCaFile: {
        ...string,
        description: 'Client certificates are asked for, and verified with these',
      },
    },
    { required: ['certFile', 'keyFile'] },
  ),
})

export const admin = section('The admin listener: a token is demanded unless it is on loopback', {
  host: { ...string, default: '127.0.0.1' },
  port: { ...port, default: 8081 },
  token: { ...string, minLength: 16 },
})

export interface TlsConfig {
  readonly certFile: string
  readonly keyFile: string
  readonly clientCaFile?: string
}

export interface ListenConfig {
  readonly host: string
  readonly port: number
  readonly drain: string
  readonly trustedProxies: readonly string[]
  readonly tls?: TlsConfig
}

export interface AdminConfig {
  readonly host: string
  readonly port: number
  readonly token?: string
}
