/** `listen` and `admin`: where callers and operators reach the gateway. */
import { DURATION_PATTERN } from '../units.ts'
import { duration, port, section, string, strings } from './words.ts'

/** What the TLS of both listeners has. */
const shared = {
  certificates: {
    type: 'array',
    description:
      'More of them: a client gets the first, the one above before all, that is for the name it asks for',
    items: section(
      'A certificate and its key',
      { certFile: string, keyFile: string },
      { required: ['certFile', 'keyFile'] },
    ),
  },
  hsts: {
    ...duration(),
    description: 'How long browsers must use TLS from now on: Strict-Transport-Security in every answer',
  },
} as const

export const listen = section('The public listener', {
  host: { ...string, default: '127.0.0.1' },
  port: { ...port, default: 8080 },
  drain: {
    ...duration('30s'),
    pattern: DURATION_PATTERN,
    description: 'How long running requests may finish at SIGTERM',
  },
  timeouts: section('How long a client may take; it is cut off then', {
    headers: { ...duration('10s'), description: 'To send the head of a request' },
    body: { ...duration('60s'), description: 'To send the whole of a request' },
    idle: { ...duration('65s'), description: 'Between two requests on a connection' },
    stalled: { ...duration('30s'), description: 'Without reading anything of an answer that waits for it' },
  }),
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
      ...shared,
    },
    { required: ['certFile', 'keyFile'] },
  ),
})

const role = { enum: ['read', 'operate'], default: 'operate' } as const

export const admin = section(
  'The admin listener: a token or a client certificate is demanded unless it is on loopback',
  {
    host: { ...string, default: '127.0.0.1' },
    port: { ...port, default: 8081 },
    token: { ...string, description: 'Its bearer operates' },
    tokens: {
      type: 'array',
      description: 'Tokens of several people and programs, told apart in the audit log',
      default: [],
      items: section(
        'A token',
        {
          name: { ...string, description: 'Who is named in the audit log' },
          token: string,
          role: { ...role, default: 'read', description: 'read: looks on; operate: changes things too' },
        },
        { required: ['name', 'token'] },
      ),
    },
    hosts: {
      ...strings,
      description: 'Names in the Host header that are answered; those of loopback there, any elsewhere',
      default: [],
    },
    tls: section(
      'TLS; the files are watched',
      {
        certFile: string,
        keyFile: string,
        clientCaFile: {
          ...string,
          description: 'Client certificates that these signed are let in without a token',
        },
        clientRole: { ...role, description: 'What such a certificate may do' },
        ...shared,
      },
      { required: ['certFile', 'keyFile'] },
    ),
  },
)

export interface TlsConfig {
  readonly certFile: string
  readonly keyFile: string
  readonly clientCaFile?: string
  readonly certificates?: readonly CertificateConfig[]
  readonly hsts?: string
}

export interface CertificateConfig {
  readonly certFile: string
  readonly keyFile: string
}

export interface ClientTimeouts {
  readonly headers: string
  readonly body: string
  readonly idle: string
  readonly stalled: string
}

export interface ListenConfig {
  readonly host: string
  readonly port: number
  readonly drain: string
  readonly timeouts: ClientTimeouts
  readonly trustedProxies: readonly string[]
  readonly tls?: TlsConfig
}

export interface AdminConfig {
  readonly host: string
  readonly port: number
  readonly token?: string
  readonly tokens: readonly AdminToken[]
  readonly hosts: readonly string[]
  readonly tls?: TlsConfig & { readonly clientRole: AdminRole }
}

export type AdminRole = 'read' | 'operate'

export interface AdminToken {
  readonly name: string
  readonly token: string
  readonly role: AdminRole
}
