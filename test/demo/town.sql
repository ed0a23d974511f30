/*
 * The town office of the demo: what an administrator would type once.
 * psql variable unit: seconds of the clock for one minute of the office.
 */
\set ON_ERROR_STOP on
\set QUIET on
CREATE EXTENSION qms;

SELECT organization_id AS org FROM qms.create_organization('City of Auenfeld', slug => 'auenfeld',
	time_zone => 'Europe/Berlin', names => '{"de": "Stadt Auenfeld"}') \gset
SELECT branch_id AS branch FROM qms.create_branch(:org, 'Citizens'' office', slug => 'citizens',
	names => '{"de": "Bürgeramt"}') \gset
SELECT zone_id AS ground FROM qms.create_zone(:branch, 'Ground floor', names => '{"de": "Erdgeschoss"}') \gset
SELECT zone_id AS upper FROM qms.create_zone(:branch, 'Upper floor', names => '{"de": "Obergeschoss"}') \gset

-- Two queues, three services: cards and addresses wait in one line, vehicles in the other.
SELECT queue_id AS papers FROM qms.create_queue('Citizen services', :branch, prefix => 'A', slug => 'papers',
	names => '{"de": "Bürgerservice"}') \gset
SELECT queue_id AS vehicles FROM qms.create_queue('Vehicles', :branch, prefix => 'B', slug => 'vehicles',
	names => '{"de": "Kfz-Zulassung"}') \gset
SELECT service_id AS card FROM qms.create_service(:org, 'Identity card', 6 * :unit * interval '1 s', slug => 'card',
	names => '{"de": "Personalausweis"}') \gset
SELECT service_id AS address FROM qms.create_service(:org, 'Change of address', 4 * :unit * interval '1 s', slug => 'address',
	names => '{"de": "Ummeldung"}') \gset
SELECT service_id AS vehicle FROM qms.create_service(:org, 'Vehicle registration', 7 * :unit * interval '1 s', slug => 'vehicle',
	names => '{"de": "Kfz-Zulassung"}') \gset
SELECT FROM qms.offer_service(:branch, :card, :papers);
SELECT FROM qms.offer_service(:branch, :address, :papers);
SELECT FROM qms.offer_service(:branch, :vehicle, :vehicles);

-- A VIP counts as having come fifteen minutes earlier; only staff may give the class.
SELECT FROM qms.create_customer_class(:org, 'vip', credit => 15 * :unit * interval '1 s', self_service => false,
	names => '{"de": "Ehrengast"}');

SELECT counter_id AS counter1 FROM qms.create_counter(:branch, 'Counter 1', ARRAY[:papers], :ground, names => '{"de": "Schalter 1"}') \gset
SELECT counter_id AS counter2 FROM qms.create_counter(:branch, 'Counter 2', ARRAY[:papers], :ground, names => '{"de": "Schalter 2"}') \gset
SELECT counter_id AS counter3 FROM qms.create_counter(:branch, 'Counter 3', ARRAY[:papers, :vehicles], :upper, names => '{"de": "Schalter 3"}') \gset
SELECT counter_id AS counter4 FROM qms.create_counter(:branch, 'Counter 4', ARRAY[:vehicles], :upper, names => '{"de": "Schalter 4"}') \gset

-- Who is who: a login for every clerk, one for the reception, the kiosk, the phones, the display.
SELECT staff_id AS staff1 FROM qms.create_staff(:org, 'anna', 'Anna Weber') \gset
SELECT staff_id AS staff2 FROM qms.create_staff(:org, 'bernd', 'Bernd Krause') \gset
SELECT staff_id AS staff3 FROM qms.create_staff(:org, 'carla', 'Carla Rossi') \gset
SELECT staff_id AS staff4 FROM qms.create_staff(:org, 'deniz', 'Deniz Yilmaz') \gset
SELECT staff_id AS staff5 FROM qms.create_staff(:org, 'eva', 'Eva Lang', role => 'reception') \gset
CREATE ROLE clerk_1 LOGIN IN ROLE qms_servicer;
CREATE ROLE clerk_2 LOGIN IN ROLE qms_servicer;
CREATE ROLE clerk_3 LOGIN IN ROLE qms_servicer;
CREATE ROLE clerk_4 LOGIN IN ROLE qms_servicer;
CREATE ROLE reception LOGIN IN ROLE qms_reception;
CREATE ROLE kiosk LOGIN IN ROLE qms_kiosk;
CREATE ROLE phone LOGIN IN ROLE qms_customer;
CREATE ROLE display LOGIN IN ROLE qms_display;
SELECT FROM qms.bind_role('clerk_1', :org, staff_id => :staff1);
SELECT FROM qms.bind_role('clerk_2', :org, staff_id => :staff2);
SELECT FROM qms.bind_role('clerk_3', :org, staff_id => :staff3);
SELECT FROM qms.bind_role('clerk_4', :org, staff_id => :staff4);
SELECT FROM qms.bind_role('reception', :org, staff_id => :staff5);
SELECT FROM qms.bind_role('kiosk', :org, kind => 'kiosk');
SELECT FROM qms.bind_role('phone', :org, kind => 'customer');
SELECT FROM qms.bind_role('display', :org, kind => 'display');

-- And a waiting room on the web, in front of the shop for the summer concert: one in each two seconds of the clock,
-- at most five inside.
SELECT application_id AS shop FROM qms.create_application(:org, 'Concert tickets') \gset
SELECT FROM qms.create_queue('Summer concert', application_id => :shop, kind => 'release', slug => 'concert', names => '{"de": "Sommerkonzert"}',
	settings => jsonb_build_object('rate', '30/min', 'max_active', 5, 'max_waiting', 40, 'claim_window', '3 s', 'token_life', '8 s'));
CREATE ROLE shop LOGIN IN ROLE qms_app;
SELECT FROM qms.bind_role('shop', :org, application_id => :shop);
