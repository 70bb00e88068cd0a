/* dht_limits — every quantity in dht/ that a stranger influences, and every
 * deadline. */
#ifndef SHOAL_DHT_LIMITS_H
#define SHOAL_DHT_LIMITS_H

enum {
	/* ---- messages ---- */
	DHT_DATAGRAM_MAX = 1400,    /* sent: fits any path with IPv6 */
	DHT_DATAGRAM_IN_MAX = 1500, /* read: longer is nobody's */
	DHT_ANSWER_MAX = 1024,	    /* ours, but for what BEP 44 stores */
	DHT_DEPTH_MAX = 10,
	DHT_VALUES_MAX = 500,	 /* values of any kind in one message */
	DHT_TID_MAX = 16,	 /* of others, echoed; longer is not answered */
	DHT_TOKEN_MAX = 64,	 /* of others, given back; longer is none */
	DHT_ITEM_MAX = 1000,	 /* BEP 44 */
	DHT_SALT_MAX = 64,	 /* BEP 44 */
	DHT_PEERS_TOLD_MAX = 50, /* in one answer of ours */
	DHT_PEERS_HEARD_MAX = 100, /* taken of one answer */
	DHT_NODES_TOLD = 8,	   /* BEP 5's k */
	DHT_NODES_HEARD_MAX = 16,  /* taken of one answer */
	DHT_SAMPLES_TOLD_MAX = 20,
	DHT_SAMPLES_HEARD_MAX = 60,
	DHT_SAMPLE_INTERVAL_MAX_S = 21600, /* BEP 51 */
	DHT_LOOK_BYTES = 110, /* of a query that looks whether he is a node */
	DHT_AMPLIFY_MAX = 3,  /* bytes out for each byte in, to who has not
				 answered us yet */

	/* ---- the table ---- */
	DHT_BUCKET_MIN = 8,
	DHT_BUCKET_WIDEST = 256,
	DHT_BUCKET_WIDEST_MAX = 1024,
	DHT_SPARE_BUCKET = 8,
	DHT_NET_CONTACTS = 1, /* of one /24 or /64, in a bucket */
	DHT_FAILS_MAX = 3,    /* in a row; one, if a spare waits */
	DHT_GOOD_S = 900,     /* BEP 5: good for 15 minutes */

	/* ---- queries of ours ---- */
	DHT_STALL_MIN_US = 50000,
	DHT_STALL_MAX_US = 2000000,
	DHT_EXPIRE_US = 5000000,
	DHT_WAITING_MAX = 2048, /* unanswered at a time */
	DHT_FEW = 16, /* contacts; below it, endpoints are asked at once */
	DHT_ENDPOINTS_MAX = 16, /* remembered, of each family */

	/* ---- searches ---- */
	DHT_SEARCHES_MAX = 256,
	DHT_CANDIDATES_MAX = 128,
	DHT_WAVE = 12,	  /* queries at once in the beginning, … */
	DHT_WAVE_OF = 32, /* … to the fastest of so many closest */
	DHT_OUT_URGENT = 8,
	DHT_OUT_BACKGROUND = 4,
	DHT_FIRE_EAGER = 6,    /* new ones for each answer, … */
	DHT_FIRE = 3,	       /* … when something was found already */
	DHT_OUT_NEAR = 9,      /* in flight among the closest, at most */
	DHT_STALL_URGENT = 75, /* percent of answers that come sooner than
				  a query stalls */
	DHT_STALL_BACKGROUND = 90,
	DHT_STALL_LATE = 97,  /* … and than nobody waits for it */
	DHT_ASKED_MAX = 300,  /* queries of one search */
	DHT_STORERS_MAX = 16, /* nodes that get what is to be stored, … */
	DHT_STORE_TRIES = 3,  /* … each so many times, while it is late */
	DHT_SEARCH_PEERS_MAX = 2000, /* told of one search */
	DHT_SEARCH_DEADLINE_US = 30000000,
	DHT_SEARCH_DEADLINE_MAX_US = 120000000,

	/* ---- what we remember of addresses ---- */
	DHT_DEAD_MAX = 1 << 16,	  /* did not answer, … */
	DHT_DEAD_S = 600,	  /* … for so long */
	DHT_PROVEN_MAX = 1 << 14, /* did answer */
	DHT_PROVEN_S = 900,
	DHT_VOTES = 16,	      /* networks that told us our address … */
	DHT_VOTES_NEEDED = 4, /* … and how many must agree */

	/* ---- what others store with us ---- */
	DHT_STORED_HASHES_MAX = 2000,
	DHT_STORED_PEERS_OF_HASH = 500, /* a filter of BEP 33 takes 6000 */
	DHT_STORED_PEERS_MAX = 50000,
	DHT_STORED_NET_MAX = 1000, /* of one /24 or /48: then its oldest go */
	DHT_STORED_HEAVY =
		16, /* with fewer, a network is not held for a flood */
	DHT_STORED_PEER_S = 2400, /* clients announce twice an hour, or more */
	DHT_STORED_ITEMS_MAX = 1000,
	DHT_STORED_NET_ITEMS = 250,
	DHT_STORED_ITEM_S = 7200, /* BEP 44: two hours */
	DHT_SAMPLE_S = 900,	  /* BEP 51: the same sample for so long */

	/* ---- how much one host may ask ---- */
	DHT_ASKS_BURST = 50,
	DHT_ASKS_PER_S = 5,
	DHT_SILENT_S = 300,
	DHT_ANSWER_BURST_S = 10, /* of dht_cfg's answer_Bps */
	DHT_FLOOD_HOSTS = 2048,	 /* watched at a time, when there are many */

	/* ---- upkeep ---- */
	DHT_UPKEEP_PER_MIN = 60, /* queries nobody asked for, at most */
	DHT_REFRESH_NEAR_S = 300,

	/* ---- the saved table ---- */
	DHT_SAVED_MAX_BYTES = 64 << 10,
	DHT_SAVED_CONTACTS = 400, /* of each family */
	DHT_SAVED_TOKENS = 32,
};

#endif
