/** `store`: where counters, keys, grants and usage are kept. */
import { duration, section, string } from './words.ts'

export const store = section('Where counters, keys, grants and usage are kept', {
  engine: {
    enum: ['memory', 'sqlite', 'redis'],
    description: 'memory: gone with the process; sqlite: one file, one machine; redis: shared by gateways',
    default: 'memory',
  },
  path: { ...string, description: 'The file of sqlite; sallyport.db unless told' },
  url: {
    type: 'string',
    pattern: '^rediss?://[^\\s]+$',
    description: 'Where Redis 7+ or Valkey is: redis://user:password@host:6379/0, or rediss:// for TLS',
  },
  prefix: {
    type: 'string',
    pattern: '^[A-Za-z0-9_.:-]{1,64}$',
    description:
      'In front of every key in Redis, as their hash tag: sallyport unless told; gateways that share limits share it',
  },
  timeout: {
    ...duration(),
    description: 'A Redis that does not answer for so long is away: 650ms unless told',
  },
  onFailure: {
    enum: ['refuse', 'local'],
    description: 'While the store is away: refuse what is limited, or enforce a share of each limit',
    default: 'refuse',
  },
})

export interface StoreConfig {
  readonly engine: 'memory' | 'sqlite' | 'redis'
  readonly path?: string
  readonly url?: string
  readonly prefix?: string
  readonly timeout?: string
  readonly onFailure: 'refuse' | 'local'
}
