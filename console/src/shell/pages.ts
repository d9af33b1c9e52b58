import type { ComponentType } from 'preact'
import { Overview } from '../pages/overview/overview.tsx'
import type { Route } from './route.ts'

/** What is drawn at a place: the whole `<main>`. */
export type PageComponent = ComponentType<{ readonly route: Route }>

export interface Place {
  /** The first step of its path after `/console/`. */
  readonly page: string
  /** The word of the navigation. */
  readonly title: string
  /** The key after `g` that leads there. */
  readonly key: string
  /** Path data of the icon, 24 x 24. */
  readonly icon: string
  /** Its code is loaded when somebody goes there, so that it does not delay the first page. */
  readonly load: () => Promise<PageComponent>
}

/** All pages in the order of the navigation. On a phone the first four stand in the bar. */
export const places: readonly Place[] = [
  {
    page: '',
    title: 'Overview',
    key: 'o',
    icon: 'M4 13h4l2-7 4 12 2-5h4',
    load: () => Promise.resolve(Overview),
  },
  {
    page: 'live',
    title: 'Live',
    key: 'l',
    icon: 'M5 12h.01M9 8v8M13 5v14M17 9v6M21 12h.01',
    load: async () => (await import('../pages/live/live.tsx')).Live,
  },
  {
    page: 'rules',
    title: 'Rules',
    key: 'r',
    icon: 'M4 6h16M4 12h10M4 18h7M17 15l2 2 3-4',
    load: async () => (await import('../pages/rules/rules.tsx')).Rules,
  },
  {
    page: 'try-it',
    title: 'Try it',
    key: 't',
    icon: 'M7 4l12 8-12 8z',
    load: async () => (await import('../pages/try-it/try-it-page.tsx')).TryItPage,
  },
  {
    page: 'streams',
    title: 'Streams',
    key: 's',
    icon: 'M4 7c3-3 5 3 8 0s5 3 8 0M4 13c3-3 5 3 8 0s5 3 8 0M4 19c3-3 5 3 8 0s5 3 8 0',
    load: async () => (await import('../pages/streams/streams.tsx')).Streams,
  },
  {
    page: 'functions',
    title: 'Functions',
    key: 'u',
    icon: 'M9 20c3 0 3-3 3.5-8S13 4 16 4M8 11h8',
    load: async () => (await import('../pages/functions/functions.tsx')).Functions,
  },
  {
    page: 'dead-letters',
    title: 'Dead letters',
    key: 'd',
    icon: 'M4 6h16v12H4zM4 7l8 6 8-6',
    load: async () => (await import('../pages/dead-letters.tsx')).DeadLetters,
  },
  {
    page: 'clients',
    title: 'Clients',
    key: 'n',
    icon: 'M4 6h7v5H4zM13 13h7v5h-7zM7.5 11v4.5H13M16.5 13V8.5H11',
    load: async () => (await import('../pages/clients/clients.tsx')).Clients,
  },
  {
    page: 'shadows',
    title: 'Shadows',
    key: 'h',
    icon: 'M5 5h10v10H5zM9 19h10V9',
    load: async () => (await import('../pages/shadows/shadows.tsx')).Shadows,
  },
  {
    page: 'mqtt-client',
    title: 'MQTT client',
    key: 'm',
    icon: 'M4 5h16v11h-9l-4 4v-4H4z',
    load: async () => (await import('../pages/mqtt-client/mqtt-client.tsx')).MqttClientPage,
  },
  {
    page: 'calls',
    title: 'Calls',
    key: 'c',
    icon: 'M5 12h12M13 7l5 5-5 5M5 5v14',
    load: async () => (await import('../pages/calls/calls.tsx')).Calls,
  },
  {
    page: 'faults',
    title: 'Faults',
    key: 'f',
    icon: 'M13 3 5 14h6l-1 7 8-11h-6z',
    load: async () => (await import('../pages/faults/faults.tsx')).Faults,
  },
]
